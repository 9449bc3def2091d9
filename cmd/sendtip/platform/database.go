package platform

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"sync"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/pg"
)

// Migrate makes each service's database and roles, and brings its tables up to date. adminURL is a superuser's.
func Migrate(ctx context.Context, adminURL string, set keys.Set) error {
	errs := make(chan error, len(deployables))
	var wg sync.WaitGroup
	for service, d := range deployables {
		wg.Go(func() {
			if err := migrate(ctx, adminURL, set, service, d.migrations()); err != nil {
				errs <- fmt.Errorf("database of %s: %w", service, err)
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func migrate(ctx context.Context, adminURL string, set keys.Set, service string, files fs.FS) error {
	owner, err := set.Read(keys.Of(service, keys.OwnerPassword))
	if err != nil {
		return err
	}
	app, err := set.Read(keys.Of(service, keys.AppPassword))
	if err != nil {
		return err
	}
	if err := pg.Provision(ctx, adminURL, service, service, pg.Passwords{Owner: owner, App: app}); err != nil {
		return err
	}
	u, err := roleURL(adminURL, service, service+"_owner", owner)
	if err != nil {
		return err
	}
	return pg.Migrate(ctx, u, files)
}

// roleURL is the administrator's URL with another database, user and password.
func roleURL(adminURL, database, user, password string) (string, error) {
	base, err := DatabaseURL(adminURL, database)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(user, password)
	return u.String(), nil
}

// DatabaseURL is the administrator's URL of another database.
func DatabaseURL(adminURL, database string) (string, error) {
	u, err := url.Parse(adminURL)
	if err != nil {
		return "", fmt.Errorf("SENDTIP_POSTGRES_URL is no URL")
	}
	u.Path = "/" + database
	return u.String(), nil
}
