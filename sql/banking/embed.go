// Package bankingsql carries the schema of the banking service.
package bankingsql

import (
	"embed"
	"io/fs"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations returns the goose migrations, the first one at the root.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic("banking migrations: " + err.Error()) // the folder is embedded at build time
	}
	return sub
}
