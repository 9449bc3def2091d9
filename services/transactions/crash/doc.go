// Package crash has no code of its own: its tests run the ledger as processes on a PostgreSQL that keeps what it has acknowledged, end
// both at every step, and prove that no acknowledged transaction is lost and none happens twice.
package crash
