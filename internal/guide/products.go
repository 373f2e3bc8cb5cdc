package guide

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// nginxMain is a whole configuration around the lines of a server. All files are in
// the lab's folder; one process of the user's own is enough.
const nginxMain = `daemon off;
master_process off;
pid {{dir}}/nginx.pid;
error_log stderr crit;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path {{dir}}/body;
	proxy_temp_path {{dir}}/proxy;
	fastcgi_temp_path {{dir}}/fastcgi;
	uwsgi_temp_path {{dir}}/uwsgi;
	scgi_temp_path {{dir}}/scgi;
	absolute_redirect off;
	server {
		listen 127.0.0.1:{{port}};
		{{server}}
	}
	{{more}}
}
`

// nginxServer is what a reproduction configures of nginx. In its texts, {{app}} is
// the base URL of the app, {{secure}} the port for TLS, and {{cert}} and {{key}} are
// files of a certificate.
type nginxServer struct {
	app    func() http.Handler // behind it; nil: none
	server string              // lines within server { }
	more   string              // lines within http { }
	secure bool                // the base URL is https, on {{secure}}
}

// start is a Side.
func (n nginxServer) start(ctx context.Context, lab *Lab) (base, version string, err error) {
	program, err := lab.Need("nginx", "nginx")
	if err != nil {
		return "", "", err
	}
	said, err := lab.Output(ctx, program, "-v")
	if err != nil {
		return "", "", err
	}
	_, version, _ = strings.Cut(said, "version: ")
	set, port, secure, err := n.settings(lab)
	if err != nil {
		return "", "", err
	}
	dir := set["{{dir}}"]
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(filled(nginxMain, set)), 0o600); err != nil {
		return "", "", err
	}
	cmd := exec.Command(program, "-p", dir, "-e", "stderr", "-c", file) //nolint:gosec // the program that PATH has
	if err := lab.Start(ctx, port, cmd); err != nil {
		return "", "", err
	}
	base = "http://127.0.0.1:" + strconv.Itoa(port)
	if strings.Contains(n.server+n.more, "{{secure}}") {
		secureBase := "https://127.0.0.1:" + strconv.Itoa(secure)
		lab.Name(base, "http://shop.example")
		lab.Name(secureBase, "https://shop.example")
		if n.secure {
			base = secureBase
		}
	}
	return base, version, nil
}

// settings are the values of the names in braces.
func (n nginxServer) settings(lab *Lab) (set map[string]string, port, secure int, err error) {
	dir, err := lab.TempDir()
	if err != nil {
		return nil, 0, 0, err
	}
	if port, err = lab.Port(); err != nil {
		return nil, 0, 0, err
	}
	if secure, err = lab.Port(); err != nil {
		return nil, 0, 0, err
	}
	set = map[string]string{"{{dir}}": dir, "{{port}}": strconv.Itoa(port), "{{secure}}": strconv.Itoa(secure), "{{server}}": n.server, "{{more}}": n.more}
	if n.app != nil {
		if set["{{app}}"], err = lab.Serve(n.app()); err != nil {
			return nil, 0, 0, err
		}
	}
	if strings.Contains(n.server+n.more, "{{cert}}") {
		if set["{{cert}}"], set["{{key}}"], err = lab.Certificate(); err != nil {
			return nil, 0, 0, err
		}
	}
	return set, port, secure, nil
}

// filled puts the values of names in braces in, those of server and more first, which
// have names of their own.
func filled(text string, set map[string]string) string {
	text = strings.NewReplacer("{{server}}", set["{{server}}"], "{{more}}", set["{{more}}"]).Replace(text)
	for name, value := range set {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// nginx is a side that runs nginx with these lines within server { }.
func nginx(server string) Side { return nginxServer{server: server}.start }

// apacheMain is a whole configuration around the lines of a site.
const apacheMain = `ServerRoot %[1]s
PidFile %[1]s/httpd.pid
DefaultRuntimeDir %[1]s
Mutex file:%[1]s
ErrorLog /dev/null
LogLevel crit
Listen 127.0.0.1:%[2]d
ServerName 127.0.0.1
%[3]s
DocumentRoot %[4]s
<Directory %[4]s>
	AllowOverride All
	Require all granted
</Directory>
%[5]s
`

// apacheModules is where Debian and its like keep Apache's modules.
const apacheModules = "/usr/lib/apache2/modules"

// apache is a side that runs Apache with these lines, and this .htaccess where it is
// not empty.
func apache(lines, htaccess string) Side {
	return func(ctx context.Context, lab *Lab) (base, version string, err error) {
		program, err := lab.Need("apache2", "apache2-bin")
		if err != nil {
			return "", "", err
		}
		if version, err = apacheVersion(ctx, lab, program); err != nil {
			return "", "", err
		}
		dir, err := lab.TempDir()
		if err != nil {
			return "", "", err
		}
		port, err := lab.Port()
		if err != nil {
			return "", "", err
		}
		if err := writeApache(dir, port, lines, htaccess); err != nil {
			return "", "", err
		}
		cmd := exec.Command(program, "-X", "-d", dir, "-f", filepath.Join(dir, "httpd.conf")) //nolint:gosec // the program that PATH has
		if err := lab.Start(ctx, port, cmd); err != nil {
			return "", "", err
		}
		return "http://127.0.0.1:" + strconv.Itoa(port), version, nil
	}
}

// apacheVersion is "Apache/2.4.66".
func apacheVersion(ctx context.Context, lab *Lab, program string) (string, error) {
	said, err := lab.Output(ctx, program, "-v")
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(said, "version: ")
	if fields := strings.Fields(rest); len(fields) > 0 {
		return fields[0], nil
	}
	return "", fmt.Errorf("apache2 -v: %.80q tells no version", said)
}

func apacheModule(name string) string {
	return fmt.Sprintf("LoadModule %[1]s_module %[2]s/mod_%[1]s.so\n", name, apacheModules)
}

func writeApache(dir string, port int, lines, htaccess string) error {
	var load strings.Builder
	for _, m := range []string{"mpm_event", "authz_core", "alias", "rewrite", "dir"} {
		load.WriteString(apacheModule(m))
	}
	root := filepath.Join(dir, "htdocs")
	if os.Geteuid() == 0 { // its workers give that up, and must read the files
		load.WriteString("User www-data\nGroup www-data\n")
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // it holds nothing but this configuration
			return err
		}
	}
	if err := os.Mkdir(root, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	if htaccess != "" {
		if err := os.WriteFile(filepath.Join(root, ".htaccess"), []byte(htaccess), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	config := fmt.Sprintf(apacheMain, dir, port, load.String(), root, lines)
	return os.WriteFile(filepath.Join(dir, "httpd.conf"), []byte(config), 0o600)
}
