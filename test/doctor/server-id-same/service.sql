SET GLOBAL server_id = 41;
