SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON';
