SET GLOBAL max_allowed_packet = 8388608;
