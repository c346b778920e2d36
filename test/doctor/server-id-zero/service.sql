SET GLOBAL server_id = 0;
