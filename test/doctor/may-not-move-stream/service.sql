REVOKE UPDATE ON banyan.banyan_stream FROM banyan_apply@'%';
