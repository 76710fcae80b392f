/* nothing yet */ typedef int tx_none;
