SET GLOBAL local_infile = OFF;
