REVOKE DELETE ON things.article FROM banyan_apply@'%';
