REVOKE SELECT (title) ON shop.item FROM banyan_read@'%';
