// Package pgstore keeps records in PostgreSQL: durable, shared by many gateways,
// and able to commit a record together with an application's own rows (ApplyTx).
//
// A write is one transaction of two round trips. The first locks the keys,
// absent ones too, and reads their rows and the server's clock. What is to be
// done is then decided in Go, by the rules that all stores share, and the second
// writes and commits. There is no second copy of the rules in SQL.
package pgstore
