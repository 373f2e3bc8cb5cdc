package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// parse reads the URL: our own parameters into s, and the rest into what it gives.
func (s *Store) parse(rawURL string, o Options) (*pgxpool.Config, error) {
	wrong := func(format string, args ...any) (*pgxpool.Config, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{ErrURL}, args...)...)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return wrong("want postgres://user@host/database")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return wrong("its parameters cannot be read") // the reason may hold the password
	}
	durability, schema := q.Get("durability"), cmp.Or(q.Get("schema"), "seeother")
	if durability != "" && durability != "relaxed" {
		return wrong("durability %.32q: want relaxed, or leave it out", durability)
	}
	if len(schema) > maxName || strings.ContainsRune(schema, 0) {
		return wrong("schema of %d bytes: want at most %d, and no zero byte", len(schema), maxName)
	}
	s.relaxed, s.sql = durability == "relaxed", statementsIn(schema)
	q.Del("durability")
	q.Del("schema")
	u.RawQuery = q.Encode()
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return wrong("host, database or parameters cannot be read") // likewise
	}
	if !q.Has("pool_max_conns") {
		config.MaxConns = int32(cmp.Or(o.MaxConns, 28)) //nolint:gosec // no more than a server has
	}
	s.connects(config)
	return config, nil
}

// connects says how connections are made: so that a server that is gone is
// noticed here, and that ours, when we are gone, hold no key for long.
func (s *Store) connects(config *pgxpool.Config) {
	c := config.ConnConfig
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, s.timeout)
	c.DialFunc = (&net.Dialer{
		Timeout:         c.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}).DialContext
	set := s.settings(c.RuntimeParams)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := set.on(ctx, conn); err != nil || s.relaxed {
			return err
		}
		_, err := conn.Exec(ctx, waitForDisk, false)
		return err
	}
}

// settings are those of a session of ours, by name. Those that the URL has are
// its own, but for what the store's promises hang on.
type settings map[string]string

func (s *Store) settings(url map[string]string) settings {
	patience := fmt.Sprintf("%dms", max(3*s.timeout, time.Second).Milliseconds()) // a large value is long on its way, too
	all := settings{
		"idle_in_transaction_session_timeout": patience,
		"tcp_keepalives_idle":                 "10",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
		"tcp_user_timeout":                    "25000",
		checkInterval:                         patience,
	}
	for name := range url {
		delete(all, name)
	}
	all["default_transaction_isolation"] = "read committed" // what a role may have otherwise
	all["default_transaction_read_only"] = "off"
	return all
}

// checkInterval is how often a server looks whether the client for whom it waits
// for a lock is still there. Servers before PostgreSQL 14, and some platforms, do
// not know how.
const checkInterval = "client_connection_check_interval"

// on sets them.
func (all settings) on(ctx context.Context, conn *pgx.Conn) error {
	var names, values []string
	for name, value := range all {
		if name != checkInterval {
			names, values = append(names, name), append(values, value)
		}
	}
	if _, err := conn.Exec(ctx, "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS s (name, value)", names, values); err != nil {
		return err
	}
	value, ok := all[checkInterval]
	if !ok {
		return nil
	}
	_, err := conn.Exec(ctx, "SELECT set_config($1, $2, false)", checkInterval, value)
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return nil
	}
	return err
}
