package forms

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// Debian's Python has Debian's Django; another one that comes first in PATH may not.
const python = "/usr/bin/python3"

const (
	adminName     = "admin"
	adminPassword = "a-password-of-the-tests"
)

var djangoEnv = []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "DJANGO_SUPERUSER_PASSWORD=" + adminPassword}

// newDjango makes a project as a developer begins one, with an app of one model.
func newDjango(t *testing.T) (dir string) {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import django").CombinedOutput(); err != nil {
		harness.Need(t, "python3-django", harness.Said(err, out))
	}
	dir = filepath.Join(t.TempDir(), "shop")
	prepare(t, harness.Command{Path: python, Args: []string{"-m", "django", "startproject", "shop"}, Dir: filepath.Dir(dir), Env: djangoEnv})
	copyTree(t, "apps/django/notes", filepath.Join(dir, "notes"))
	edit(t, filepath.Join(dir, "shop/settings.py"), "INSTALLED_APPS = [\n", "MEDIA_ROOT = BASE_DIR / 'media'\nINSTALLED_APPS = [\n    'notes',\n")
	for _, args := range [][]string{
		{"makemigrations", "notes"}, {"migrate"}, {"createsuperuser", "--noinput", "--username", adminName, "--email", "admin@example.com"},
	} {
		prepare(t, harness.Command{Path: python, Args: append([]string{"manage.py"}, args...), Dir: dir, Env: djangoEnv})
	}
	return dir
}

// startDjango serves a copy of a project.
func startDjango(t *testing.T, made string) site {
	t.Helper()
	dir, addr := filepath.Join(t.TempDir(), "shop"), harness.FreeAddr(t)
	copyTree(t, made, dir)
	p := harness.Start(t, harness.Command{Path: python, Dir: dir, Args: []string{"manage.py", "runserver", "--noreload", addr}, Env: djangoEnv, Ends: true})
	p.AwaitURL(t, "http://"+addr+"/admin/login/")
	sql := sqlite(dir, "db.sqlite3")
	return site{url: "http://" + addr, sql: sql, enter: djangoLogin, reset: func(t *testing.T) {
		sql(t, "DELETE FROM notes_note; DELETE FROM django_admin_log; DELETE FROM django_session; DELETE FROM sqlite_sequence WHERE name LIKE '%note%'")
	}}
}

func djangoLogin(p *person) {
	fillDjangoLogin(p)
	p.submit("input[type=submit]", "Site administration")
}

func fillDjangoLogin(p *person) {
	p.open("/admin/logout/") // also for somebody who is in
	p.open("/admin/")
	p.fill("#id_username", adminName)
	p.fill("#id_password", adminPassword)
}

const (
	addNote    = "/admin/notes/note/add/"
	djangoSave = "input[name=_save]"
	notes      = "SELECT id, title, text, paper, CASE WHEN paper <> '' THEN hex(readfile('{dir}/media/' || paper)) END FROM notes_note"
)

func fillNote(p *person, title string) {
	p.fill("#id_title", title)
	p.fill("#id_text", "Once\nupon a time & <b>so on</b>")
}

var djangoJourneys = []journey{
	{name: "login", do: djangoLogin, rows: "SELECT count(*) FROM django_session"},
	{name: "add", rows: notes, do: func(p *person) {
		p.open(addNote)
		fillNote(p, "First")
		p.upload("#id_paper", square(p.t, "square.png"))
		p.submit(djangoSave, "was added successfully.")
	}},
	{name: "change", rows: notes, do: func(p *person) {
		p.open("/admin/notes/note/1/change/")
		p.fill("#id_title", "Second")
		p.submit(djangoSave, "was changed successfully.")
	}},
	{name: "an error, and its mend", rows: notes, do: func(p *person) {
		p.open(addNote)
		p.evaluate("document.querySelector('#id_title').required = false")
		p.submit(djangoSave, "This field is required.")
		fillNote(p, "Third")
		p.submit("input[name=_addanother]", "was added successfully.")
	}},
	{name: "delete", rows: "SELECT count(*), max(title) FROM notes_note", do: func(p *person) {
		p.open("/admin/notes/note/1/delete/")
		p.submit("input[type=submit]", "was deleted successfully.")
	}},
	{name: "delete what is ticked", rows: "SELECT action_flag, object_repr, change_message FROM django_admin_log", do: func(p *person) {
		askDelete(p, "Third")
		p.submit("input[type=submit]", "Successfully deleted 1 note.")
	}},
	{name: "logout", rows: "SELECT count(*) FROM django_session", do: func(p *person) {
		p.follow("a[href$='/logout/']", has("Logged out"))
	}},
}

// askDelete ticks a note, and comes to the page that asks whether it is to go. That
// page is the answer to a form.
func askDelete(p *person, title string) {
	p.open("/admin/notes/note/?q=")
	p.evaluate(fmt.Sprintf("[...document.querySelectorAll('#result_list tbody tr')].find((row) => row.innerText.includes(%q)).querySelector('.action-select').click()", title))
	p.evaluate("document.querySelector('select[name=action]').value = 'delete_selected'")
	p.submit("button[name=index]", "Are you sure you want to delete the selected note?")
}

var djangoForms = []form{
	{
		// The browser has given up the answer to the first click, with its cookies.
		name: "login", open: func(p *person, _ string) { fillDjangoLogin(p) }, submit: "input[type=submit]", done: "Site administration", stays: true,
	},
	{
		name: "add", open: at(addNote), fill: fillNote, submit: djangoSave,
		done: "was added successfully.", rows: "SELECT id FROM notes_note WHERE title = '%s'",
		direct: harm{double: 2, refresh: 1, back: 2, fresh: true},
		// Django marks its admin no-store, so that Back gets a new form.
		protected: harm{double: 1, refresh: 1, back: 2, fresh: true},
	},
	{
		name: "add with an error", open: func(p *person, _ string) {
			p.open(addNote)
			p.evaluate("document.querySelector('#id_title').required = false")
		}, submit: djangoSave,
		done: "This field is required.", rows: "SELECT id FROM notes_note WHERE title = '%s'",
		direct: harm{prompt: true, fresh: true}, protected: harm{fresh: true},
	},
	{
		name: "delete what is ticked", open: func(p *person, mark string) {
			p.open(addNote)
			fillNote(p, mark)
			p.submit(djangoSave, "was added successfully.")
			askDelete(p, mark)
		}, submit: "input[type=submit]",
		done: "Successfully deleted 1 note.", rows: "SELECT id FROM django_admin_log WHERE action_flag = 3 AND object_repr = '%s'",
		direct: harm{double: 1, refresh: 1, lost: true, page: "Select note to change"}, chromium: true,
		// Back asks the gateway for the page that it keeps, and the form on that is the same.
		protected: harm{double: 1, refresh: 1, back: 1, backPage: "Select note to change"},
	},
}

func djangoMask(text string) string {
	text = regexp.MustCompile(`\b\w+\.? \d+, \d{4}, \S+ [ap]\.m\.`).ReplaceAllString(text, "WHEN")
	return regexp.MustCompile(`(papers/\w+?)_\w{7}\.png`).ReplaceAllString(text, "$1.png")
}

func django(t *testing.T) (direct, twin site) {
	t.Helper()
	made := newDjango(t)
	return startDjango(t, made), startDjango(t, made)
}
