REVOKE UPDATE ON shop.item FROM banyan_apply@'%';
