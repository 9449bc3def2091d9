package pg

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var kitMigrations embed.FS

// Passwords are those of a service's two roles.
type Passwords struct{ Owner, App string }

// provisionLock is the advisory lock (on the maintenance database) under which roles are made: CREATE ROLE has no IF NOT EXISTS.
const provisionLock = 0x53454e44 // "SEND"

// Provision makes, or brings up to date, a service's database with its two roles: <service>_owner runs migrations, <service>_app runs
// the service with SELECT and INSERT by default, without DDL and TRUNCATE. adminURL is a superuser's. It may be repeated, and run at once.
func Provision(ctx context.Context, adminURL, databaseName, service string, pw Passwords) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("connect as administrator: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", provisionLock); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	owner, app := service+"_owner", service+"_app"
	for role, password := range map[string]string{owner: pw.Owner, app: pw.App} {
		if err := ensureRole(ctx, conn, role, password); err != nil {
			return err
		}
	}
	if err := ensureDatabase(ctx, conn, databaseName, owner, app); err != nil {
		return err
	}
	return grantDefaults(ctx, conn.Config(), databaseName, owner, app)
}

func ensureRole(ctx context.Context, conn *pgx.Conn, role, password string) error {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role).Scan(&exists); err != nil {
		return fmt.Errorf("look for role %s: %w", role, err)
	}
	verb := "CREATE"
	if exists {
		verb = "ALTER"
	}
	// DDL takes no parameters; format() quotes.
	var stmt string
	if err := conn.QueryRow(
		ctx, "SELECT format('%s ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD %L', $1::text, $2::text, $3::text)",
		verb, role, password).Scan(&stmt); err != nil {
		return fmt.Errorf("role %s: %w", role, err)
	}
	if _, err := conn.Exec(ctx, stmt); err != nil {
		return fmt.Errorf("role %s cannot be made", role) // the cause would carry the password
	}
	return nil
}

func ensureDatabase(ctx context.Context, conn *pgx.Conn, name, owner, app string) error {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	db, own, run := pgx.Identifier{name}.Sanitize(), pgx.Identifier{owner}.Sanitize(), pgx.Identifier{app}.Sanitize()
	if !exists {
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+db+" OWNER "+own); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	for _, stmt := range []string{"REVOKE ALL ON DATABASE " + db + " FROM PUBLIC", "GRANT CONNECT ON DATABASE " + db + " TO " + run} {
		if _, err := conn.Exec(ctx, stmt); err != nil {
			return fmt.Errorf("grants of database %s: %w", name, err)
		}
	}
	return nil
}

func grantDefaults(ctx context.Context, admin *pgx.ConnConfig, name, owner, app string) error {
	cfg := admin.Copy()
	cfg.Database = name
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", name, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	own, run := pgx.Identifier{owner}.Sanitize(), pgx.Identifier{app}.Sanitize()
	for _, stmt := range []string{
		"ALTER SCHEMA public OWNER TO " + own,
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT USAGE ON SCHEMA public TO " + run,
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + own + " IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO " + run,
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + own + " IN SCHEMA public GRANT USAGE ON SEQUENCES TO " + run,
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + own + " IN SCHEMA public REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + own + " IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO " + run,
	} {
		if _, err := conn.Exec(ctx, stmt); err != nil {
			return fmt.Errorf("grants in %s: %w", name, err)
		}
	}
	return nil
}

// Migrate brings a database to the current schema as its owner: River's tables, the kit's, then the service's own goose migrations
// (files *.sql at the root of fsys). A session lock lets several callers run at once.
func Migrate(ctx context.Context, ownerURL string, fsys fs.FS) error {
	pool, err := pgxpool.New(ctx, ownerURL)
	if err != nil {
		return errors.New("the owner's database URL cannot be read (it is not shown, as it holds a password)")
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }()
	kit, err := fs.Sub(kitMigrations, "migrations")
	if err != nil {
		return err
	}
	if err := migrateRiver(ctx, pool); err != nil {
		return err
	}
	if err := migrateSet(ctx, db, "goose_kit_version", kit); err != nil {
		return fmt.Errorf("kit tables: %w", err)
	}
	if err := migrateSet(ctx, db, "goose_db_version", fsys); err != nil {
		return fmt.Errorf("service tables: %w", err)
	}
	return nil
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool) error {
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("river: %w", err)
	}
	// River takes no lock of its own; two migrators at once would both try to create its tables.
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("river: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", provisionLock+1); err != nil {
		return fmt.Errorf("river: lock: %w", err)
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", provisionLock+1)
	}()
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("river: %w", err)
	}
	// Nothing here searches jobs by arguments or metadata, and each change of a job pays for these two: they are most of a job's cost.
	if _, err := conn.Exec(ctx, "DROP INDEX IF EXISTS river_job_args_index, river_job_metadata_index"); err != nil {
		return fmt.Errorf("river: indexes: %w", err)
	}
	const grant = `DO $$ DECLARE t text; app text := regexp_replace(current_user, '_owner$', '_app'); BEGIN
		FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'river\_%' AND tablename <> 'river_migration' LOOP
			EXECUTE format('GRANT UPDATE, DELETE ON %I TO %I', t, app);
		END LOOP; END $$`
	if _, err := conn.Exec(ctx, grant); err != nil {
		return fmt.Errorf("river: grants: %w", err)
	}
	return nil
}

func migrateSet(ctx context.Context, db *sql.DB, table string, fsys fs.FS) error {
	store, err := database.NewStore(database.DialectPostgres, table)
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectCustom, db, fsys, goose.WithStore(store), goose.WithSessionLocker(locker))
	if err != nil {
		if errors.Is(err, goose.ErrNoMigrations) {
			return nil
		}
		return err
	}
	_, err = p.Up(ctx)
	return err
}
