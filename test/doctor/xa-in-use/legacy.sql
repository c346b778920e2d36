XA START 'one';
XA END 'one';
XA PREPARE 'one';
XA ROLLBACK 'one';
