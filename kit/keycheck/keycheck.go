// Package keycheck keeps a service from working under a key that its database was not written under: new rows would be sealed under the
// wrong key while the old ones fail one by one. The database holds a check value of each key; a service that starts with another key, and
// without the recorded one as the previous, refuses and names the setting.
package keycheck

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
)

// lock serialises the replicas of a service that start at once; advisory locks belong to one database.
const lock = 0x6b657973 // "keys"

// ErrRefused is in the error of a guard that will never let the service work with these settings.
var ErrRefused = errors.New("refused to start")

// Key is a secret that must not change unnoticed.
type Key struct {
	// Name is the key's in the database; it never changes.
	Name string
	// Setting is the environment variable of the current value; that of the previous one ends in _PREVIOUS.
	Setting string
	// Values are the check values, the current one first.
	Values [][]byte
	// Sealed are places where an existing database may have rows under this key; they decide about a database from before there were
	// check values. Without any, the first key that comes is the right one.
	Sealed []Sealed

	fixed bool // there is no previous value
}

// Sealed is a column of sealed values.
type Sealed struct {
	Table  string
	Column string
	// Open answers nil if the value of the row opens.
	Open func(id uuid.UUID, value []byte) error
}

// KEK is the key-encryption key of a sealer, with what the kit and the service seal under it.
func KEK(s *seal.Sealer, sealed ...Sealed) Key {
	own := Column(s, "idempotency_keys", "result", "idem:")
	return Key{Name: "kek", Setting: "SENDTIP_KEK", Values: s.CheckValues(), Sealed: append(sealed, own)}
}

// Column is a column that a sealer seals for `purpose` followed by the row's id.
func Column(s *seal.Sealer, table, column, purpose string) Sealed {
	return Sealed{Table: table, Column: column, Open: func(id uuid.UUID, value []byte) error {
		_, err := s.Open(purpose+id.String(), value)
		return err
	}}
}

// Secret is a random key that seals nothing; values are the current one and the previous.
func Secret(name, setting string, values ...[]byte) Key {
	k := Key{Name: name, Setting: setting}
	for _, v := range values {
		check, err := hkdf.Key(sha256.New, v, nil, "sendtip key check: "+name, sha256.Size)
		if err != nil {
			panic("keycheck: " + err.Error()) // only a result of more than 255 hashes is refused
		}
		k.Values = append(k.Values, check)
	}
	return k
}

// Public is a key pair, by its public halves: the current one and the previous.
func Public(name, setting string, publics ...string) Key {
	k := Key{Name: name, Setting: setting}
	for _, p := range publics {
		sum := sha256.Sum256([]byte(p))
		k.Values = append(k.Values, sum[:])
	}
	return k
}

// Fixed is a setting that is no secret and never changes.
func Fixed(name, setting, value string) Key {
	k := Public(name, setting, value)
	k.fixed = true
	return k
}

// Guard returns the service's guard: it answers nil when every key is the recorded one, or follows it properly, or is the first.
// An error that is no ErrRefused means that the database could not be asked.
func Guard(db pg.Beginner, now func() time.Time, log *slog.Logger, keys ...Key) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		return pg.InTx(ctx, db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lock); err != nil {
				return fmt.Errorf("check keys: %w", err)
			}
			for _, k := range keys {
				if err := k.check(ctx, tx, now(), log); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (k Key) check(ctx context.Context, tx pgx.Tx, now time.Time, log *slog.Logger) error {
	var recorded []byte
	err := tx.QueryRow(ctx, "SELECT value FROM key_checks WHERE key = $1 ORDER BY id DESC LIMIT 1", k.Name).Scan(&recorded)
	switch {
	case pg.IsNoRows(err):
		if err := k.adopt(ctx, tx, log); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("check keys (is the database migrated?): %w", err)
	case slices.Equal(recorded, k.Values[0]):
		return k.checkEarlier(ctx, tx)
	case !slices.ContainsFunc(k.Values, func(v []byte) bool { return slices.Equal(v, recorded) }):
		if k.fixed {
			return fmt.Errorf("%w: %s is not what it was when this database was made: set it back", ErrRefused, k.Setting)
		}
		return fmt.Errorf("%w: %s is not the key that this database was written under: set that one, or for a rotation give it as %[2]s_PREVIOUS",
			ErrRefused, k.Setting)
	default:
		if err := k.checkEarlier(ctx, tx); err != nil {
			return err
		}
		log.InfoContext(ctx, "key rotated", "setting", k.Setting)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO key_checks (key, value, created_at) VALUES ($1, $2, $3)", k.Name, k.Values[0], now); err != nil {
		return fmt.Errorf("record key: %w", err)
	}
	return nil
}

// checkEarlier refuses when the database was written under a key that is not set any more and rows under it are still there: they would
// fail one by one. Rows are kept in the order of their ids, so each place's oldest tells.
func (k Key) checkEarlier(ctx context.Context, tx pgx.Tx) error {
	var dropped bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM key_checks WHERE key = $1 AND value <> ALL($2))", k.Name,
		k.Values).Scan(&dropped); err != nil {
		return fmt.Errorf("check keys: %w", err)
	}
	if !dropped {
		return nil
	}
	_, closed, err := k.try(ctx, tx, "ASC")
	if err == nil && closed > 0 {
		err = fmt.Errorf("%w: %s_PREVIOUS must be the key before %[2]s as long as rows are sealed under it, and they are", ErrRefused, k.Setting)
	}
	return err
}

// try opens the first row of each place in an order of ids.
func (k Key) try(ctx context.Context, tx pgx.Tx, order string) (opened, closed int, err error) {
	for _, s := range k.Sealed {
		var id uuid.UUID
		var value []byte
		column, table := pgx.Identifier{s.Column}.Sanitize(), pgx.Identifier{s.Table}.Sanitize()
		err := tx.QueryRow(ctx, "SELECT id, "+column+" FROM "+table+" WHERE "+column+" IS NOT NULL ORDER BY id "+order+" LIMIT 1").Scan(&id,
			&value)
		if pg.IsNoRows(err) {
			continue
		}
		if err != nil {
			return 0, 0, fmt.Errorf("look for sealed rows in %s: %w", s.Table, err)
		}
		switch err := s.Open(id, value); {
		case err == nil:
			opened++
		case errors.Is(err, seal.ErrOpen):
			closed++
		default:
			return 0, 0, fmt.Errorf("open a row of %s: %w", s.Table, err)
		}
	}
	return opened, closed, nil
}

// adopt judges a database without a record: rows are there and none opens, so it was written under another key.
func (k Key) adopt(ctx context.Context, tx pgx.Tx, log *slog.Logger) error {
	opened, closed := 0, 0
	for _, order := range []string{"DESC", "ASC"} { // the newest, and those that may be from before a rotation
		o, c, err := k.try(ctx, tx, order)
		if err != nil {
			return err
		}
		opened, closed = opened+o, closed+c
	}
	if closed > 0 && opened == 0 {
		return fmt.Errorf("%w: with %s no row of this database can be opened: it was written under another key, set that one", ErrRefused,
			k.Setting)
	}
	if closed > 0 {
		log.ErrorContext(ctx, "some rows were sealed under a key that is not set", "setting", k.Setting+"_PREVIOUS", "of", opened+closed,
			"closed", closed)
	}
	return nil
}
