package forms

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

const wordPressFiles = "/usr/share/wordpress"

// wordPressSettings are those that an administrator would change after the
// installation: comments show at once, and no picture is fetched from elsewhere.
const wordPressSettings = `
UPDATE wp_options SET option_value = '0' WHERE option_name IN ('show_avatars', 'comment_previously_approved', 'comments_notify', 'moderation_notify');
UPDATE wp_options SET option_value = '' WHERE option_name = 'permalink_structure';
INSERT INTO wp_usermeta (user_id, meta_key, meta_value) VALUES (1, 'wp_persisted_preferences', 'a:2:{s:14:"core/edit-post";a:1:{s:12:"welcomeGuide";b:0;}s:9:"_modified";s:24:"2026-01-01T00:00:00.000Z";}');
INSERT INTO wp_usermeta (user_id, meta_key, meta_value) VALUES (1, 'metaboxhidden_dashboard', 'a:1:{i:0;s:17:"dashboard_primary";}');
`

// blogs are WordPress sites that share a database server.
type blogs struct {
	db   *mariadb
	www  string // the program, ready to be copied
	dump string // the database of a new blog
}

// newWordPress installs a blog as people do, in the browser's pages for it.
func newWordPress(t *testing.T) *blogs {
	t.Helper()
	harness.NeedFile(t, "wordpress", wordPressFiles)
	dir := folder(t)
	b := &blogs{db: startMariaDB(t), www: filepath.Join(dir, "www"), dump: filepath.Join(dir, "blog.sql")}
	copyTree(t, wordPressFiles, b.www)
	copyTree(t, "apps/wordpress/wp-config.php", filepath.Join(b.www, "wp-config.php"))
	if err := os.MkdirAll(filepath.Join(b.www, "wp-content/mu-plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	copyTree(t, "apps/wordpress/tests.php", filepath.Join(b.www, "wp-content/mu-plugins/tests.php"))
	addr, _ := b.serve(t, "installed")
	res, err := http.PostForm("http://"+addr+"/wp-admin/install.php?step=2", url.Values{
		"weblog_title": {"Blog"}, "user_name": {adminName}, "admin_email": {"admin@example.com"}, "blog_public": {"0"}, "pw_weak": {"on"},
		"admin_password": {adminPassword}, "admin_password2": {adminPassword},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || !strings.Contains(string(text), "WordPress has been installed.") {
		t.Fatalf("WordPress is not installed: %v\n%s", err, text)
	}
	b.db.ask(t, "installed", wordPressSettings, "")
	b.db.dump(t, "installed", b.dump)
	return b
}

// serve starts an Apache with PHP on a copy of the program, with an empty database,
// and says where it is and in which folder its uploads are.
func (b *blogs) serve(t *testing.T, database string) (addr, uploads string) {
	t.Helper()
	apache := harness.NeedCommand(t, "apache2")
	modules, _ := filepath.Glob("/usr/lib/apache2/modules/libphp*.so") // only a bad pattern is an error
	if len(modules) == 0 {
		harness.Need(t, "libapache2-mod-php", os.ErrNotExist)
	}
	dir := folder(t)
	addr = harness.FreeAddr(t)
	copyTree(t, b.www, filepath.Join(dir, "www"))
	user := ""
	if unprivileged(t, "www-data", filepath.Join(dir, "www/wp-content")) != nil {
		user = "User www-data\nGroup www-data"
	}
	text, err := os.ReadFile("apps/wordpress/apache.conf")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "apache.conf")
	write(t, config, strings.NewReplacer(
		"{dir}", dir, "{addr}", addr, "{user}", user, "{modules}", filepath.Dir(modules[0]), "{php}", modules[0],
		"{database}", database, "{socket}", b.db.socket,
	).Replace(string(text)))
	b.db.ask(t, "", "CREATE DATABASE "+database, "")
	p := harness.Start(t, harness.Command{Path: apache, Args: []string{"-D", "FOREGROUND", "-f", config}, Dir: dir, Ends: true})
	p.AwaitURL(t, "http://"+addr+"/readme.html")
	return addr, filepath.Join(dir, "www/wp-content/uploads")
}

// start is one more blog like the first.
func (b *blogs) start(t *testing.T, database string) site {
	t.Helper()
	addr, uploads := b.serve(t, database)
	s := site{url: "http://" + addr, enter: wordPressLogin}
	s.sql = func(t *testing.T, query string) []string {
		t.Helper()
		return b.db.ask(t, database, query, "")
	}
	s.reset = func(t *testing.T) {
		t.Helper()
		b.db.ask(t, database, "", b.dump)
		if err := os.RemoveAll(uploads); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func wordPressLogin(p *person) {
	fillWordPressLogin(p)
	p.submit("#wp-submit", "Dashboard")
}

func fillWordPressLogin(p *person) {
	p.open("/wp-login.php?reauth=1")                         // also for somebody who is in
	p.await("document.activeElement.id.startsWith('user_')") // a script goes there, a moment later
	p.fill("#user_login", adminName)
	p.fill("#user_pass", adminPassword)
}

func fillComment(p *person, text string) { p.fill("#comment", text) }

// fillPage writes a page, in the editor that needs no script.
func fillPage(p *person, title string) {
	p.fill("#title", title)
	// The editor with a view of the text comes first, and may be left once it is there.
	p.await(`document.querySelector('#content').offsetParent ||
		window.tinymce?.get('content')?.initialized && (document.querySelector('#content-html').click(), false)`)
	p.fill("#content", "Once upon a time & <b>so on</b>")
	// A moment after the title a script saves the draft, with the button out of use.
	p.await("(window.calm = document.querySelector('#publish').classList.contains('disabled') ? 0 : (window.calm ?? 0) + 1) > 25")
}

// fillUpload chooses a picture whose name is the mark.
func fillUpload(p *person, mark string) {
	p.upload("#async-upload", square(p.t, strings.ReplaceAll(mark, " ", "-")+".png"))
}

func fillUser(p *person, mark string) {
	name := strings.ReplaceAll(mark, " ", "")
	p.fill("#user_login", name)
	p.fill("#email", name+"@example.com")
}

const (
	newPage   = "/wp-admin/post-new.php?post_type=page"
	newUpload = "/wp-admin/media-new.php?browser-uploader"
	posts     = "SELECT ID, post_type, post_status, post_title, post_content, guid FROM wp_posts WHERE post_status IN ('publish', 'draft', 'inherit') AND ID > 3 ORDER BY ID"
)

var wordPressJourneys = []journey{
	{name: "comment", rows: "SELECT comment_ID, comment_author, comment_author_email, comment_content, comment_approved FROM wp_comments", do: func(p *person) {
		p.open("/?p=1")
		p.fill("#comment", "First\ncomment & <b>so on</b>")
		p.fill("#author", "Somebody")
		p.fill("#email", "somebody@example.com")
		p.submit("#submit", "comment & so on")
	}},
	{name: "login", rows: "SELECT count(*) FROM wp_usermeta WHERE meta_key = 'session_tokens'", do: wordPressLogin},
	{name: "draft on the dashboard", rows: posts, do: func(p *person) {
		p.open("/wp-admin/")
		p.fill("#quick-press #title", "Quick draft")
		p.fill("#quick-press #content", "Once upon a time")
		p.click("#quick-press #save-post")
		p.await("[...document.querySelectorAll('.drafts li')].some((d) => d.innerText.includes('Quick draft'))")
		p.open("/wp-admin/edit.php")
	}},
	{name: "page", rows: posts, do: func(p *person) {
		p.open(newPage)
		fillPage(p, "First page")
		p.submit("#publish", "Page published.")
		p.fill("#title", "Second page")
		p.submit("#publish", "Page updated.")
	}},
	{name: "post in the block editor", rows: posts, do: func(p *person) {
		p.open("/wp-admin/post-new.php")
		p.await("wp.data.select('core/editor').getCurrentPostId()")
		p.evaluate(`(async () => {
			const editor = wp.data.dispatch('core/editor');
			await editor.editPost({title: 'First post', content: '<!-- wp:paragraph --><p>Hello</p><!-- /wp:paragraph -->', status: 'publish'});
			await editor.savePost();
		})()`)
		p.await("!wp.data.select('core/editor').isEditedPostDirty() && wp.data.select('core/editor').isCurrentPostPublished()")
		p.open("/")
	}},
	{name: "upload", rows: "SELECT p.ID, p.post_title, p.post_mime_type, m.meta_value FROM wp_posts p JOIN wp_postmeta m ON m.post_id = p.ID AND m.meta_key = '_wp_attachment_metadata'", do: func(p *person) {
		p.open(newUpload)
		fillUpload(p, "square")
		p.submit("#html-upload", "Media Library")
		p.open("/wp-admin/upload.php?mode=list")
	}},
	{name: "settings", rows: "SELECT option_value FROM wp_options WHERE option_name = 'blogname'", do: func(p *person) {
		p.open("/wp-admin/options-general.php")
		p.fill("#blogname", "Another name")
		p.submit("#submit", "Settings saved.")
	}},
	{name: "logout", rows: "SELECT count(*) FROM wp_usermeta WHERE meta_key = 'session_tokens' AND meta_value <> ''", do: func(p *person) {
		p.open("/wp-login.php?action=logout")
		p.follow("a[href*='action=logout']", has("You are now logged out."))
	}, says: []string{"status of 403"}},
}

var wordPressForms = []form{
	{
		// The browser has given up the answer to the first click, with its cookies.
		name: "login", open: func(p *person, _ string) { fillWordPressLogin(p) }, submit: "#wp-submit", done: "Dashboard", stays: true,
	},
	{
		// WordPress itself looks for a comment with the same text, and says so.
		name: "comment", open: at("/?p=1"), fill: fillComment, submit: "#submit",
		done: "Leave a comment", rows: "SELECT comment_ID FROM wp_comments WHERE comment_content = '%s'",
		direct: harm{double: 1, refresh: 1, back: 1, page: "Duplicate comment detected"},
		// The answer is the page with the form. Where Back gets that from a cache, its form is the newer one.
		protected: harm{double: 1, refresh: 1, back: 1, newer: true, backPage: "Leave a comment|Duplicate comment detected"},
	},
	{
		name: "upload", open: at(newUpload), fill: fillUpload, submit: "#html-upload",
		done: "Media Library", rows: "SELECT ID FROM wp_posts WHERE post_type = 'attachment' AND REPLACE(post_title, '-', ' ') = '%s'",
		direct: harm{double: 2, refresh: 1, back: 2}, protected: once,
	},
	{
		// A script disables the button, and another one gets a new page after Back.
		name: "page", open: at(newPage), fill: fillPage, submit: "#publish",
		done: "Page published.", rows: "SELECT ID FROM wp_posts WHERE post_type = 'page' AND post_title = '%s'",
		direct:    harm{double: 1, refresh: 1, back: 2, fresh: true},
		protected: harm{double: 1, refresh: 1, back: 2, fresh: true},
	},
	{
		name: "user", open: at("/wp-admin/user-new.php"), fill: fillUser, submit: "#createusersub",
		done: "New user created.", rows: "SELECT ID FROM wp_users WHERE user_login = REPLACE('%s', ' ', '')",
		// A form that goes to its own address takes that from the cache (RFC 9111 section 4.4);
		// with a token, it goes to another one.
		direct: harm{double: 1, refresh: 1, back: 1, page: "already registered", fresh: true}, protected: once,
	},
}

func wordPressMask(text string) string {
	text = regexp.MustCompile(`\w+ \d+, \d{4}|\d{4}/\d\d/\d\d|\b\d+:\d\d( [ap]m| [AP]M)?|\d+ \w+ ago|Just now|Universal time is .*`).ReplaceAllString(text, "WHEN")
	return regexp.MustCompile(`_wpnonce=\w+`).ReplaceAllString(text, "NONCE")
}

func wordPress(t *testing.T) (direct, twin site) {
	t.Helper()
	b := newWordPress(t)
	return b.start(t, "direct"), b.start(t, "twin")
}
