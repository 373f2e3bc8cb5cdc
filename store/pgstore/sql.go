package pgstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migrations are the versions of the tables, each from the one before. SCHEMA
// stands for the quoted schema. One that was ever released is never changed.
var migrations = []string{
	`CREATE TABLE SCHEMA.records (
		partition bytea NOT NULL, class bytea NOT NULL, key bytea NOT NULL,
		state bytea NOT NULL, grp bytea NOT NULL, value bytea NOT NULL, version bigint NOT NULL,
		created bigint NOT NULL, updated bigint NOT NULL, -- microseconds since 1970
		due bigint NOT NULL, expires bigint NOT NULL,     -- likewise; 0: none
		PRIMARY KEY (partition, class, key));
	CREATE INDEX records_state ON SCHEMA.records (partition, class, state, key);
	CREATE INDEX records_group ON SCHEMA.records (partition, class, grp, key) WHERE grp <> '';
	CREATE INDEX records_due ON SCHEMA.records (partition, class, due, key) WHERE due <> 0;
	CREATE INDEX records_expires ON SCHEMA.records (expires) WHERE expires <> 0;
	CREATE SEQUENCE SCHEMA.versions INCREMENT BY 64;
	CREATE TABLE SCHEMA.probe (at timestamptz NOT NULL);
	INSERT INTO SCHEMA.probe VALUES (now())`,
}

// versionsAtOnce is what one nextval reserves: the INCREMENT of the sequence.
const versionsAtOnce = 64

// statements are the SQL for one schema.
type statements struct {
	name, schema                                     string // the schema as it is, and quoted
	channel                                          string
	read, upsert, insert, remove, probe, list, sweep string
}

const columns = `partition, class, key, state, grp, value, version, created, updated, due, expires`

// selected is what scan reads.
const selected = columns + `, octet_length(value)`

// listed is selected, of rows that are named before: without the values of those
// that do not fit. $3 says how many rows may come with one, $4 of how many bytes
// in all, and $5 whether the first may be larger. The sizes of values are known
// without reading them.
const listed = `partition, class, key, state, grp,
	CASE WHEN row_number() OVER before <= $3 AND (sum(octet_length(value)) OVER before <= $4 OR $5 AND row_number() OVER before = 1) THEN value END,
	version, created, updated, due, expires, octet_length(value)`

// micros is the server's clock.
const micros = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

// started is the moment at which a statement began. It is one moment for all
// rows, so that an index can be asked, and none that a transaction keeps.
const started = `(extract(epoch FROM statement_timestamp()) * 1000000)::bigint`

// maxName is where PostgreSQL cuts a name off, in bytes.
const maxName = 63

// channelOf is the channel of a schema's changes. A long name would be cut, or
// refused.
func channelOf(schema string) string {
	name := "seeother_" + schema
	if len(name) <= maxName {
		return name
	}
	sum := hashOf(schema)
	return "seeother_" + hex.EncodeToString(sum[:16])
}

func statementsIn(name string) statements {
	schema := pgx.Identifier{name}.Sanitize()
	in := func(sql string) string { return strings.ReplaceAll(sql, "SCHEMA", schema) }
	return statements{
		name: name, schema: schema, channel: channelOf(name),
		read:   in(`SELECT ` + selected + ` FROM SCHEMA.records WHERE partition = $1 AND class = $2 AND key = $3`),
		insert: in(`INSERT INTO SCHEMA.records (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`),
		upsert: in(`INSERT INTO SCHEMA.records (` + columns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (partition, class, key) DO UPDATE SET state = $4, grp = $5, value = $6, version = $7, created = $8, updated = $9, due = $10, expires = $11`),
		remove: in(`DELETE FROM SCHEMA.records WHERE partition = $1 AND class = $2 AND key = $3`),
		probe:  in(`UPDATE SCHEMA.probe SET at = now()`),
		list:   in(`SELECT ` + listed + ` FROM (SELECT ` + columns + ` FROM SCHEMA.records WHERE partition = $1 AND class = $2`),
		sweep: in(`DELETE FROM SCHEMA.records WHERE expires <> 0 AND expires <= ` + started + ` AND (partition, class, key) IN (
			SELECT partition, class, key FROM SCHEMA.records WHERE expires <> 0 AND expires <= ` + started + `
			ORDER BY expires LIMIT $1 FOR UPDATE SKIP LOCKED)`),
	}
}

// migrationLock is the advisory lock that one process migrates under.
const migrationLock = 0x7365656f74686572

// migrate makes the tables, or brings them up to date, in one transaction. Where
// there is nothing to do, it needs no right to do it.
func (s *Store) migrate(ctx context.Context) error {
	if there, err := s.version(ctx); err != nil || there == len(migrations) {
		return wrap(err)
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		if err := s.makeSchema(ctx, tx); err != nil {
			return err
		}
		var version int
		err := tx.QueryRow(ctx, "SELECT version FROM "+s.sql.schema+".migrations").Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			_, err = tx.Exec(ctx, "INSERT INTO "+s.sql.schema+".migrations VALUES (0)")
		}
		if err != nil {
			return err
		}
		if err := known(version); err != nil {
			return err
		}
		for ; version < len(migrations); version++ {
			if _, err := tx.Exec(ctx, strings.ReplaceAll(migrations[version], "SCHEMA", s.sql.schema)); err != nil {
				return fmt.Errorf("migration %d: %w", version+1, err)
			}
		}
		_, err = tx.Exec(ctx, "UPDATE "+s.sql.schema+".migrations SET version = $1 WHERE version <> $1", version)
		return err
	})
	return wrap(err)
}

// version is that of the tables; 0: there are none.
func (s *Store) version(ctx context.Context) (version int, err error) {
	err = s.pool.QueryRow(ctx, "SELECT version FROM "+s.sql.schema+".migrations").Scan(&version)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (pg.Code == "42P01" || pg.Code == "3F000") || errors.Is(err, pgx.ErrNoRows) { // no such table, no such schema
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return version, known(version)
}

func known(version int) error {
	if version > len(migrations) {
		return fmt.Errorf("%w: %d, and this seeother knows up to %d", ErrNewer, version, len(migrations))
	}
	return nil
}

// makeSchema makes the schema, where it is missing: a role that may not make one
// can be given one.
func (s *Store) makeSchema(ctx context.Context, tx pgx.Tx) error {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", s.sql.schema).Scan(&there); err != nil {
		return err
	}
	if !there {
		if _, err := tx.Exec(ctx, "CREATE SCHEMA "+s.sql.schema); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+s.sql.schema+".migrations (version int NOT NULL)")
	return err
}
