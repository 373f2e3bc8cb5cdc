package differential

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/rule/importer"
	"github.com/seeother/seeother/test/internal/harness"
)

const (
	apacheFiles    = "../../rule/importer/testdata/apache"
	apacheRequests = 100_000
	apacheSeed     = 1
	// apacheOddHosts is how seldom a host gets a port, a dot or capitals: Apache
	// compares it as it came, which no browser makes a difference of.
	apacheOddHosts = 40
)

// TestApache compares the rules imported from every file of testdata with the
// real Apache that has the same file.
func TestApache(t *testing.T) {
	apache := harness.NeedCommand(t, "apache2")
	modules := apacheModules(t)
	files, err := filepath.Glob(filepath.Join(apacheFiles, "*.*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("only %d files: %v", len(files), err)
	}
	all := &Report{}
	started := time.Now()
	for i, file := range files {
		n := requestsOr(apacheRequests) / len(files)
		if i == 0 {
			n += requestsOr(apacheRequests) % len(files)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := runApache(t, apache, modules, file, n)
			if r.Wrong > 0 {
				Check(t, r)
			}
			t.Log(r)
			all.Add(r)
		})
	}
	if !t.Failed() {
		Check(t, all)
	}
	t.Logf("%v", time.Since(started).Round(time.Millisecond))
}

func runApache(t *testing.T, apache, modules, file string, requests int) *Report {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &Case{
		Name: filepath.Base(file), File: string(text), Schemes: []string{"http", "https"},
		Requests: requests, Seed: apacheSeed, OddHosts: apacheOddHosts,
	}
	res := importApacheFile(t, c)
	for _, n := range res.Notes {
		t.Logf("note: %s", n)
	}
	c.Mode, c.Rules = res.Mode, res.Rules
	c.Dial = startApache(t, apache, modules, c).Dial
	c.ClassOf = newApacheClasses(t, c).of
	return Run(t, c)
}

func importApacheFile(t *testing.T, c *Case) *importer.Result {
	t.Helper()
	format := importer.Apache
	if strings.HasSuffix(c.Name, ".htaccess") {
		format = importer.Htaccess
	}
	res, err := importer.Import(format, c.Name, strings.NewReader(c.File), importer.Options{Files: apacheFS{os.DirFS(filepath.Join(apacheFiles, "files"))}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// apacheFS has the files that configurations name in /etc/apache2.
type apacheFS struct{ fs.FS }

func (f apacheFS) Open(name string) (fs.File, error) {
	return f.FS.Open(strings.TrimPrefix(name, "etc/apache2/"))
}

// apacheModules is the folder of Debian's modules.
func apacheModules(t *testing.T) string {
	t.Helper()
	dir := "/usr/lib/apache2/modules"
	_, err := os.Stat(filepath.Join(dir, "mod_rewrite.so"))
	harness.Need(t, "mod_rewrite in "+dir, err)
	return dir
}

const apacheMain = `ServerRoot %[1]q
PidFile pid
Mutex sem
ErrorLog error.log
LogLevel error
CoreDumpDirectory %[1]q
ServerName default.invalid:80
Listen 127.0.0.1:%[2]d
Listen 127.0.0.1:%[3]d
%[4]s
ServerLimit 1
StartServers 1
ThreadsPerChild 16
MinSpareThreads 1
MaxSpareThreads 16
MaxRequestWorkers 16
MaxConnectionsPerChild 0
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestFieldSize 16380
<IfModule ssl_module>
SSLSessionCache none
SSLCertificateFile %[5]q
SSLCertificateKeyFile %[6]q
</IfModule>
<Directory />
Require all granted
</Directory>
<Directory %[7]q>
AllowOverride All
Options FollowSymLinks
</Directory>
DocumentRoot %[7]q
`

var (
	virtualHosts = regexp.MustCompile(`(?s)(<VirtualHost [^>]*:)(80|443)(>.*?</VirtualHost>)`)
	directories  = regexp.MustCompile(`<Directory "/var/www/html([^"]*)">`)
	rewriteBase  = regexp.MustCompile(`(?m)^\s*RewriteBase\s+(\S+)`)
	serverNames  = regexp.MustCompile(`(?m)^(\s*ServerName +)(\S+)`)
)

// startApache starts Apache with the file of the case. Of the file itself only
// ports and the DocumentRoot are put where they can be in a test.
func startApache(t *testing.T, apache, modules string, c *Case) *Server {
	t.Helper()
	dir, root := t.TempDir(), ""
	root = filepath.Join(dir, "html")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	ports := FreePorts(t, 2)
	s := &Server{HTTP: ports[0], HTTPS: ports[1]}
	cert, key := Certificate(t, dir)
	var load strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "alias", "rewrite", "socache_shmcb", "ssl", "proxy", "proxy_http"} {
		fmt.Fprintf(&load, "LoadModule %[1]s_module %[2]s/mod_%[1]s.so\n", m, modules)
	}
	if os.Geteuid() == 0 {
		load.WriteString("User www-data\nGroup www-data\n")
		openFolders(t, dir)
	}
	config := fmt.Sprintf(apacheMain, dir, s.HTTP, s.HTTPS, load.String(), cert, key, root)
	site := filepath.Join(dir, "site.conf")
	text := strings.ReplaceAll(c.File, "/var/www/html", root)
	for _, m := range directories.FindAllStringSubmatch(c.File, -1) {
		if err := os.MkdirAll(filepath.Join(root, m[1]), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Abs(filepath.Join(apacheFiles, "files"))
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "/etc/apache2", files)
	switch {
	case strings.HasSuffix(c.Name, ".htaccess"):
		folder := root
		if m := rewriteBase.FindStringSubmatch(c.File); m != nil {
			folder = filepath.Join(root, m[1])
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, ".htaccess"), c.File)
		text = ""
		fallthrough
	case !strings.Contains(text, "<VirtualHost"):
		config += fmt.Sprintf("<VirtualHost *:%d>\nServerName default.invalid:80\nInclude %q\n</VirtualHost>\n"+
			"<VirtualHost *:%d>\nServerName default.invalid:443\nSSLEngine on\nInclude %q\n</VirtualHost>\n", s.HTTP, site, s.HTTPS, site)
	default:
		text = virtualHosts.ReplaceAllStringFunc(text, func(host string) string {
			m := virtualHosts.FindStringSubmatch(host)
			port := map[string]int{"80": s.HTTP, "443": s.HTTPS}[m[2]]
			return fmt.Sprintf("%s%d%s", m[1], port, serverNames.ReplaceAllString(m[3], "${1}${2}:"+m[2]))
		})
		config += fmt.Sprintf("Include %q\n", site)
	}
	write(t, site, text)
	write(t, filepath.Join(dir, "apache.conf"), config)
	Start(t, s, apache, "-f", filepath.Join(dir, "apache.conf"), "-DFOREGROUND")
	return s
}

// openFolders lets another user read what the test wrote.
func openFolders(t *testing.T, dir string) {
	t.Helper()
	for ; strings.HasPrefix(dir, os.TempDir()) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
