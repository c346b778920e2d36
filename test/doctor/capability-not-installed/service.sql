DELETE FROM banyan.banyan_stream WHERE capability = 'things';
