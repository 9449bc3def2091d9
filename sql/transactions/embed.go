// Package transactionssql carries the migrations of the ledger's database.
package transactionssql

import (
	"embed"
	"io/fs"
)

// FS holds the folder migrations.
//
//go:embed migrations/*.sql
var FS embed.FS

// Migrations returns the goose migrations at the root of a file system.
func Migrations() fs.FS {
	sub, err := fs.Sub(FS, "migrations")
	if err != nil {
		panic(err) // the folder is embedded at build time
	}
	return sub
}
