package forms

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/internal/servertest"
	"github.com/seeother/seeother/test/internal/harness"
)

// mariadb is a database server that listens on a socket alone.
type mariadb struct {
	socket string
	client string // the program
}

// startMariaDB starts one of its own, with its data in a new folder.
func startMariaDB(t *testing.T) *mariadb {
	t.Helper()
	install, server := harness.NeedCommand(t, "mariadb-install-db"), harness.NeedCommand(t, "mariadbd")
	dir := folder(t)
	m := &mariadb{socket: filepath.Join(dir, "s"), client: harness.NeedCommand(t, "mariadb")}
	user := unprivileged(t, "mysql", dir)
	common := []string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"}
	prepare(t, harness.Command{
		Path: install, Args: append(common, "--auth-root-authentication-method=normal", "--skip-test-db"), Dir: dir, User: user,
	})
	p := harness.Start(t, harness.Command{
		Path: server, Args: append(common, "--socket="+m.socket, "--skip-networking", "--pid-file="+filepath.Join(dir, "pid")), Dir: dir, User: user, Ends: true,
	})
	p.AwaitLog(t, "ready for connections")
	return m
}

// folder is a temporary one that other users can reach.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "seeother-forms-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// unprivileged is the user that a server runs as, who gets the folder; nil: whoever
// runs the tests, where that is not root.
func unprivileged(t *testing.T, name, dir string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	user, err := servertest.Credential(name)
	if err != nil {
		t.Fatal(err)
	}
	own(t, user, dir)
	return user
}

func own(t *testing.T, user *syscall.Credential, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, int(user.Uid), int(user.Gid))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ask runs SQL in a database, from a file where one is named.
func (m *mariadb) ask(t *testing.T, database, query, file string) []string {
	t.Helper()
	cmd := exec.Command(m.client, "--no-defaults", "--user=root", "--socket="+m.socket, "--skip-column-names", "--batch", database)
	cmd.Stdin = strings.NewReader(query)
	if file != "" {
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd.Stdin = in
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb: %s: %v\n%s", query, err, out)
	}
	return lines(string(out))
}

// dump writes a database to a file.
func (m *mariadb) dump(t *testing.T, database, file string) {
	t.Helper()
	harness.Run(t, harness.NeedCommand(t, "mariadb-dump"), "--no-defaults", "--user=root", "--socket="+m.socket, "--result-file="+file, database)
}
