REVOKE PROCESS ON *.* FROM banyan_apply@'%';
