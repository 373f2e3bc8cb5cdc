package forms

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// railsEnv is that of every command of the app. Without a bundle of its own, it has
// the gems of Debian.
var railsEnv = []string{"RAILS_ENV=production", "RAILS_SERVE_STATIC_FILES=1", "RAILS_LOG_TO_STDOUT=1", "SECRET_KEY_BASE=of-the-tests", "DISABLE_SPRING=1"}

const railsGems = "gem 'rails'\ngem 'sqlite3'\ngem 'puma'\ngem 'sprockets-rails'\n"

// newRails makes an app as a developer begins one, with two scaffolds. It has what
// Rails 6.1 leaves out without JavaScript, a button to destroy, and a post must have a
// title. An article differs in that its errors come with 422, as of Rails 7.
func newRails(t *testing.T) (dir string) {
	t.Helper()
	rails := harness.NeedCommand(t, "rails")
	harness.NeedCommand(t, "puma")
	harness.NeedCommand(t, "sqlite3")
	dir = filepath.Join(t.TempDir(), "shop")
	args := []string{"new", dir, "--quiet", "--skip-gemfile", "--skip-bundle", "--skip-javascript"}
	for _, part := range []string{
		"git", "keeps", "action-mailer", "action-mailbox", "action-text", "active-storage", "action-cable", "bootsnap", "spring", "listen", "test", "jbuilder",
	} {
		args = append(args, "--skip-"+part)
	}
	prepare(t, harness.Command{Path: rails, Args: args})
	write(t, filepath.Join(dir, "Gemfile"), railsGems)
	for _, model := range []string{"Post", "Article"} {
		run(t, dir, rails, "generate", "scaffold", model, "title:string", "body:text")
		name := strings.ToLower(model)
		edit(t, filepath.Join(dir, "app/models", name+".rb"), "ApplicationRecord\n", "ApplicationRecord\n  validates :title, presence: true\n")
		edit(t, filepath.Join(dir, "app/views", name+"s/show.html.erb"), "<%= link_to 'Edit'", "<%= button_to 'Destroy', @"+name+", method: :delete %>\n<%= link_to 'Edit'")
	}
	edit(t, filepath.Join(dir, "app/controllers/articles_controller.rb"), "render :new\n", "render :new, status: :unprocessable_entity\n")
	run(t, dir, rails, "db:migrate", "assets:precompile")
	return dir
}

func run(t *testing.T, dir, path string, args ...string) {
	t.Helper()
	prepare(t, harness.Command{Path: path, Args: args, Dir: dir, Env: railsEnv})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// edit replaces a text that the file must have.
func edit(t *testing.T, file, old, with string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s has no %q:\n%s", file, old, text)
	}
	write(t, file, strings.Replace(string(text), old, with, 1))
}

// startRails serves a copy of an app.
func startRails(t *testing.T, made string) site {
	t.Helper()
	dir, addr := filepath.Join(t.TempDir(), "shop"), harness.FreeAddr(t)
	copyTree(t, made, dir)
	p := harness.Start(t, harness.Command{
		Path: harness.NeedCommand(t, "puma"), Dir: dir, Args: []string{"--bind", "tcp://" + addr}, Env: append(railsEnv, "PIDFILE="+filepath.Join(dir, "pid")), Ends: true,
	})
	p.AwaitURL(t, "http://"+addr+"/posts")
	sql := sqlite(dir, "db/production.sqlite3")
	return site{url: "http://" + addr, sql: sql, reset: func(t *testing.T) {
		sql(t, "DELETE FROM posts; DELETE FROM articles; DELETE FROM sqlite_sequence")
	}}
}

const railsSubmit = "input[type=submit]"

func fillPost(p *person, title string) {
	p.fill("[name$='[title]']", title)
	p.fill("[name$='[body]']", "Once\nupon a time & <b>so on</b>")
}

var railsJourneys = []journey{
	{name: "create", rows: "SELECT id, title, body FROM posts", do: func(p *person) {
		p.open("/posts/new")
		fillPost(p, "First")
		p.submit(railsSubmit, "Post was successfully created.")
	}},
	{name: "update", rows: "SELECT id, title, body FROM posts", do: func(p *person) {
		p.open("/posts/1/edit")
		p.fill("#post_title", "Second")
		p.submit(railsSubmit, "Post was successfully updated.")
	}},
	{name: "an error, and its mend", rows: "SELECT id, title, body FROM posts", do: func(p *person) {
		p.open("/posts/new")
		fillPost(p, "")
		p.submit(railsSubmit, "Title can't be blank")
		p.fill("#post_title", "Third")
		p.submit(railsSubmit, "Post was successfully created.")
	}},
	{name: "an error with 422, and its mend", rows: "SELECT id, title, body FROM articles", do: func(p *person) {
		p.open("/articles/new")
		fillPost(p, "")
		p.submit(railsSubmit, "Title can't be blank")
		p.fill("#article_title", "Fourth")
		p.submit(railsSubmit, "Article was successfully created.")
	}, says: []string{"status of 422"}},
	{name: "an error stays", rows: "SELECT count(*) FROM posts", do: func(p *person) {
		p.open("/posts/new")
		fillPost(p, "")
		p.submit(railsSubmit, "Title can't be blank")
	}},
	{name: "destroy", rows: "SELECT count(*), max(title) FROM posts", do: func(p *person) {
		p.open("/posts/1")
		p.submit(railsSubmit, "Post was successfully destroyed.")
	}},
}

// notFound is what Rails says of a post that was destroyed already.
const notFound = "The page you were looking for doesn't exist."

var railsForms = []form{
	{
		name: "create", open: at("/posts/new"), fill: fillPost, submit: railsSubmit,
		done: "Post was successfully created.", rows: "SELECT id FROM posts WHERE title = '%s'",
		direct: harm{double: 2, refresh: 1, back: 2}, protected: once,
	},
	{
		name: "create, from a page with an error", open: func(p *person, _ string) {
			p.open("/posts/new")
			p.submit(railsSubmit, "Title can't be blank")
		}, fill: fillPost, submit: railsSubmit,
		done: "Post was successfully created.", rows: "SELECT id FROM posts WHERE title = '%s'",
		// Back asks the gateway for the page that it keeps, and the form on that is the same.
		direct: harm{double: 2, refresh: 1, back: 2}, protected: once,
	},
	{
		name: "create with an error", open: at("/posts/new"), submit: railsSubmit,
		done: "Title can't be blank", rows: "SELECT id FROM posts WHERE title = '%s'",
		direct: harm{prompt: true}, protected: harm{},
	},
	{
		name: "create with an error and 422", open: at("/articles/new"), submit: railsSubmit,
		done: "Title can't be blank", rows: "SELECT id FROM articles WHERE title = '%s'",
		direct: harm{prompt: true}, protected: harm{prompt: true}, // 422 is what scripts look for: it stays
	},
	{
		name: "update", open: func(p *person, mark string) {
			createPost(p, mark)
			p.follow("a[href$='/edit']", has("Editing Post"))
		}, submit: railsSubmit,
		done: "Post was successfully updated.", rows: "SELECT id FROM posts WHERE title = '%s'", direct: once, protected: once,
	},
	{
		name: "destroy", open: createPost, submit: railsSubmit,
		done: "Post was successfully destroyed.", rows: "SELECT id FROM posts WHERE title = '%s'",
		direct: harm{page: notFound}, protected: harm{},
	},
}

func createPost(p *person, title string) {
	p.open("/posts/new")
	fillPost(p, title)
	p.submit(railsSubmit, "Post was successfully created.")
}

func rails(t *testing.T) (direct, twin site) {
	t.Helper()
	made := newRails(t)
	return startRails(t, made), startRails(t, made)
}
