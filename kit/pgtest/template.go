//go:build unix

package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	clonePrefix = "test_"
	// leftoverAge is how old a clone is when its test must have been killed; go test gives up after 10 minutes.
	leftoverAge = 2 * time.Hour
)

// server is the PostgreSQL that this process clones on.
type server struct {
	adminURL string
	admin    *pgxpool.Pool
	seat     *seat // keeps the shared cluster alive; nil with SENDTIP_TEST_POSTGRES_URL
}

// recipe says how a template is made.
type recipe struct {
	service   string
	key       string
	provision Provisioner
	migrate   Migrator
}

// templateNote is kept as the template's comment. A template without one was left half-made.
type templateNote struct {
	OwnerURL string `json:"owner_url"`
	AppURL   string `json:"app_url"`
}

func (r recipe) templateName() string {
	sum := sha256.Sum256([]byte(r.service + "\x00" + r.key))
	return "template_" + r.service + "_" + hex.EncodeToString(sum[:8])
}

// clone copies the template; any number of copies may run at once under the shared lock, while the builder of
// the template holds it alone.
func (s *server) clone(ctx context.Context, r recipe) (*DB, error) {
	conn, err := s.admin.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect as administrator: %w", err)
	}
	defer conn.Release()
	template := r.templateName()
	lock := lockID(template)
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1)", lock); err != nil {
		return nil, fmt.Errorf("lock %s: %w", template, err)
	}
	note, err := readNote(ctx, conn, template)
	if errors.Is(err, pgx.ErrNoRows) {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock_shared($1)", lock); err != nil {
			return nil, err
		}
		if err := s.build(ctx, conn, r); err != nil {
			return nil, fmt.Errorf("build %s: %w", template, err)
		}
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1)", lock); err != nil {
			return nil, fmt.Errorf("lock %s: %w", template, err)
		}
		note, err = readNote(ctx, conn, template)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", template, err), unlockShared(ctx, conn, lock))
	}
	name := cloneName(r.service, time.Now())
	err = copyDatabase(ctx, conn, template, name)
	if err = errors.Join(err, unlockShared(ctx, conn, lock)); err != nil {
		return nil, err
	}
	return s.describe(note, name)
}

func unlockShared(ctx context.Context, conn *pgxpool.Conn, lock int64) error {
	_, err := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock_shared($1)", lock)
	return err
}

func (s *server) describe(note templateNote, name string) (*DB, error) {
	db := &DB{Name: name}
	var errs [3]error
	db.OwnerURL, errs[0] = withDatabase(note.OwnerURL, name)
	db.AppURL, errs[1] = withDatabase(note.AppURL, name)
	db.AdminURL, errs[2] = withDatabase(s.adminURL, name)
	return db, errors.Join(errs[:]...)
}

// build makes the template unless another process just did.
func (s *server) build(ctx context.Context, conn *pgxpool.Conn, r recipe) (err error) {
	template := r.templateName()
	lock := lockID(template)
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		return err
	}
	defer func() {
		_, unlockErr := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", lock)
		err = errors.Join(err, unlockErr)
	}()
	if _, err := readNote(ctx, conn, template); !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	// On this connection: every other one of the pool may be waiting for this lock.
	if err := drop(ctx, conn, template); err != nil {
		return err
	}
	var note templateNote
	note.OwnerURL, note.AppURL, err = r.provision(ctx, s.adminURL, template)
	if err != nil {
		return fmt.Errorf("provision: %w", err)
	}
	if err := r.migrate(ctx, note.OwnerURL); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	text, err := json.Marshal(note)
	if err != nil {
		return err
	}
	quoted := pgx.Identifier{template}.Sanitize()
	// A connection to a template blocks every copy, so nobody may connect any more.
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quoted+" ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", template); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "COMMENT ON DATABASE "+quoted+" IS '"+strings.ReplaceAll(string(text), "'", "''")+"'")
	return err
}

// readNote answers pgx.ErrNoRows when there is no finished template.
func readNote(ctx context.Context, conn *pgxpool.Conn, template string) (templateNote, error) {
	var text string
	err := conn.QueryRow(ctx, `SELECT d.description FROM pg_database b
		JOIN pg_shdescription d ON d.objoid = b.oid AND d.classoid = 'pg_database'::regclass
		WHERE b.datname = $1`, template).Scan(&text)
	if err != nil {
		return templateNote{}, err
	}
	var note templateNote
	return note, json.Unmarshal([]byte(text), &note)
}

// copyDatabase clones the template with its owner. CREATE DATABASE leaves out the grants on the database itself
// (who may connect), so they are repeated.
func copyDatabase(ctx context.Context, conn *pgxpool.Conn, template, name string) error {
	var owner string
	var hasGrants bool
	err := conn.QueryRow(ctx, `SELECT pg_get_userbyid(datdba), datacl IS NOT NULL FROM pg_database WHERE datname = $1`, template).
		Scan(&owner, &hasGrants)
	if err != nil {
		return err
	}
	quoted := pgx.Identifier{name}.Sanitize()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+quoted+" TEMPLATE "+pgx.Identifier{template}.Sanitize()+
		" OWNER "+pgx.Identifier{owner}.Sanitize())
	if err != nil {
		return fmt.Errorf("clone %s: %w", template, err)
	}
	if !hasGrants {
		return nil
	}
	rows, err := conn.Query(ctx, `SELECT format('GRANT %s ON DATABASE %I TO %s', g.privilege_type, $2::text,
			CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END)
		FROM pg_database b, aclexplode(b.datacl) g WHERE b.datname = $1`, template, name)
	if err != nil {
		return err
	}
	grants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, strings.Join(append([]string{"REVOKE ALL ON DATABASE " + quoted + " FROM PUBLIC"}, grants...), ";"))
	return err
}

// execer is a pool or one of its connections.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func drop(ctx context.Context, db execer, name string) error {
	_, err := db.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	if err != nil {
		return fmt.Errorf("drop %s: %w", name, err)
	}
	return nil
}

// cloneName carries the time, so that a later run can tell what a killed test left behind.
func cloneName(service string, now time.Time) string {
	return fmt.Sprintf("%s%s_%x_%s", clonePrefix, service, now.Unix(), strings.ToLower(rand.Text()[:10]))
}

func isLeftover(name string, now time.Time) bool {
	parts := strings.Split(strings.TrimPrefix(name, clonePrefix), "_")
	if !strings.HasPrefix(name, clonePrefix) || len(parts) < 3 {
		return false
	}
	made, err := strconv.ParseInt(parts[len(parts)-2], 16, 64)
	return err == nil && now.Sub(time.Unix(made, 0)) > leftoverAge
}

// dropLeftovers removes the clones of killed tests: a server given by address outlives the tests.
func (s *server) dropLeftovers(ctx context.Context) error {
	rows, err := s.admin.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", clonePrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isLeftover(name, time.Now()) {
			continue
		}
		if err := drop(ctx, s.admin, name); err != nil {
			return err
		}
	}
	return nil
}

func lockID(name string) int64 {
	sum := sha256.Sum256([]byte("pgtest " + name))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

func withDatabase(address, name string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("a database URL cannot be read (it is not shown, as it holds a password)")
	}
	u.Path = "/" + name
	return u.String(), nil
}
