//! Two links joined by a pipe that cuts the stream wherever it is told to. Times in the left column are milliseconds.

mod closing;
mod hostile;
mod pair;
mod receipts;
mod stream;
mod tamper;
