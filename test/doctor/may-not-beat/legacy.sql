REVOKE UPDATE ON banyan.banyan_heartbeat FROM banyan_read@'%';
