ALTER USER banyan_read@'%' IDENTIFIED BY 'another';
