RENAME TABLE banyan.capability TO banyan.elsewhere;
