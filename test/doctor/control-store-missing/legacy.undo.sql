RENAME TABLE banyan.elsewhere TO banyan.capability;
