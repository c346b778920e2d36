DROP USER banyan_apply@'%';
