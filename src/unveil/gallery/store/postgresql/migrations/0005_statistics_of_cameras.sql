-- Of a gallery and its jobs there is one row, so nothing is planned by these; see partitions.py for the cameras of rows.
ALTER TABLE galleries ALTER cameras SET STATISTICS 0;
ALTER TABLE jobs ALTER job SET STATISTICS 0, ALTER state SET STATISTICS 0;
