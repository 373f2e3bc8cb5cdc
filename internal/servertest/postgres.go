package servertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server.
type Postgres struct {
	server

	port int
	root *syscall.Credential // whom it runs as; nil: as we do
}

// StartPostgres makes a database cluster in dir and starts it, with fsync as it
// is by default. Run by root, it runs as the user postgres, who must be able to
// reach dir. Settings are further ones: "max_connections=10", ...
func StartPostgres(dir string, settings ...string) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	p, data, err := newPostgres(dir)
	if err != nil {
		return nil, err
	}
	initdb := p.as(exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "seeother", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"))
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	return p, p.run(bin, data, settings)
}

// StartStandby starts a copy in dir that follows p, and that a synchronous_standby_names
// may name standby.
func (p *Postgres) StartStandby(dir string) (*Postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	s, data, err := newPostgres(dir)
	if err != nil {
		return nil, err
	}
	of := fmt.Sprintf("host=127.0.0.1 port=%d user=seeother application_name=standby", p.port)
	backup := s.as(exec.Command(filepath.Join(bin, "pg_basebackup"), "-D", data, "-d", of, "-R", "--checkpoint=fast", "--no-sync"))
	if out, err := backup.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	return s, s.run(bin, data, nil)
}

// newPostgres has a port, somebody to run as, and an empty folder that is theirs.
func newPostgres(dir string) (p *Postgres, data string, err error) {
	p = &Postgres{}
	if p.port, err = FreePort(); err != nil {
		return nil, "", err
	}
	if os.Geteuid() == 0 {
		if p.root, err = Credential("postgres"); err != nil {
			return nil, "", err
		}
	}
	data = filepath.Join(dir, "pg")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, "", err
	}
	if p.root != nil {
		err = os.Chown(data, int(p.root.Uid), int(p.root.Gid))
	}
	return p, data, err
}

// run starts the server on a folder that has a cluster.
func (p *Postgres) run(bin, data string, settings []string) error {
	args := []string{"-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + strconv.Itoa(p.port), "-c", "unix_socket_directories="}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	p.command = func() *exec.Cmd { return p.as(exec.Command(filepath.Join(bin, "postgres"), args...)) }
	p.ready = func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.URL())
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	return p.Start()
}

// postgresBin is the folder of the newest server's programs.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // the others stand beside the real one
		return filepath.Dir(path), err
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // only a bad pattern is an error
	if len(found) == 0 {
		return "", fmt.Errorf("PostgreSQL: %w", ErrMissing)
	}
	return filepath.Dir(slices.Max(found)), nil
}

// Credential is that of a user of this machine, for a process of root.
func Credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func (p *Postgres) as(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = "/"
	if p.root != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.root}
	}
	return cmd
}

// URL is that of its database, as a superuser without a password.
func (p *Postgres) URL() string {
	return fmt.Sprintf("postgres://seeother@127.0.0.1:%d/postgres?sslmode=disable", p.port)
}

// Port is where it listens, on 127.0.0.1.
func (p *Postgres) Port() int { return p.port }

// Stop ends it in its own way, with all connections cut.
func (p *Postgres) Stop() { p.signal(syscall.SIGINT) }

// Crash ends it as a power cut does: what is not on disk is lost.
func (p *Postgres) Crash() { p.signal(syscall.SIGQUIT) }
