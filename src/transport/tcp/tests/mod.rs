//! Two links joined by a pipe that cuts the stream wherever it is told to. Times in the left column are milliseconds.

mod closing;
mod entry;
mod hostile;
mod pair;
mod receipts;
mod stream;
mod tamper;
