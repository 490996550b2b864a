package agent

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"openab-sop/world/openab/internal/release"
	"openab-sop/world/openab/internal/tracelog"
)

// webhook is an endpoint that hands on what it is sent; it refuses the first few posts.
func webhook(t *testing.T, refused int) (url string, contents chan string) {
	t.Helper()
	contents = make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused > 0 {
			refused--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var body map[string]string
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.WriteHeader(http.StatusNoContent)
		contents <- body["content"]
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api/webhooks/1/s3cret", contents
}

// drained is what has arrived so far.
func drained(contents chan string) []string {
	var arrived []string
	for len(contents) > 0 {
		arrived = append(arrived, <-contents)
	}
	return arrived
}

func job(webhook, message string) string {
	return fmt.Sprintf("[[jobs]]\nschedule = \"0 9 * * *\"\nchannel = \"1\"\nmessage = %q\nwebhook = %q\n", message, webhook)
}

// logged runs do with a usercron of the file and returns what was logged meanwhile.
func logged(t *testing.T, file string, do func(*Usercron)) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = out
	usercron := newUsercron(file, tracelog.New("test"))
	os.Stdout = stdout
	do(usercron)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUsercronFiresEachJobOnceThoughItLooksAgain(t *testing.T) {
	url, contents := webhook(t, 0)
	file := write(t, job(url, "one")+job(url, "off")+"enabled = false\n"+"[[jobs]]\nmessage = \"for the chat\"\n")
	log := logged(t, file, func(u *Usercron) {
		u.look(t.Context())
		u.look(t.Context())
		if arrived := drained(contents); !slices.Equal(arrived, []string{"one"}) {
			t.Errorf("first %q arrived", arrived)
		}
		if err := os.WriteFile(file, []byte(job(url, "one")+job(url, "two")), 0o600); err != nil {
			t.Fatal(err)
		}
		u.look(t.Context())
		if arrived := drained(contents); !slices.Equal(arrived, []string{"two"}) {
			t.Errorf("then %q arrived", arrived)
		}
	})
	if strings.Count(log, " INFO test: fired usercron job") != 2 || strings.Contains(log, "WARN") {
		t.Error(log)
	}
}

func TestUsercronTriesAgainWhatDidNotArriveAndWarnsOnce(t *testing.T) {
	url, contents := webhook(t, 2)
	log := logged(t, write(t, job(url, "late")), func(u *Usercron) {
		for range 4 {
			u.look(t.Context())
		}
	})
	if arrived := drained(contents); !slices.Equal(arrived, []string{"late"}) {
		t.Errorf("%q arrived", arrived)
	}
	if strings.Count(log, " WARN ") != 1 || !strings.Contains(log, "503") {
		t.Error(log)
	}
}

func TestUsercronNeverShowsAWebhook(t *testing.T) {
	for name, text := range map[string]string{
		"nobody listens": job("http://127.0.0.1:1/api/webhooks/1/s3cret", "x"),
		"no URL":         job("http://s3cret host/", "x"),
		"no scheme":      job("s3cret", "x"),
		"not TOML":       "[[jobs]]\nwebhook = \"s3cret\" oops\n",
		"of wrong type":  "[[jobs]]\nwebhook = [\"s3cret\"]\n",
	} {
		t.Run(name, func(t *testing.T) {
			log := logged(t, write(t, text), func(u *Usercron) { u.look(t.Context()) })
			if strings.Count(log, " WARN ") != 1 || strings.Contains(log, "s3cret") {
				t.Error(log)
			}
		})
	}
}

func TestAHomeWithoutJobsIsNoError(t *testing.T) {
	for name, file := range map[string]string{"missing": filepath.Join(t.TempDir(), "no"), "empty": write(t, "")} {
		if log := logged(t, file, func(u *Usercron) { u.look(t.Context()) }); log != "" {
			t.Errorf("%s: %s", name, log)
		}
	}
}

func TestWhereTheHomesJobsAre(t *testing.T) {
	for cron, want := range map[string]string{
		"":                         "",
		"usercron_path = \"a\"":    "",
		"usercron_enabled = false": "",
		"usercron_enabled = true":  "/h/.openab/cronjob.toml",
		"usercron_enabled = true\nusercron_path = \"a/b.toml\"": "/h/.openab/a/b.toml",
		"usercron_enabled = true\nusercron_path = \"/a.toml\"":  "/a.toml",
	} {
		config, err := loadConfig(write(t, "[gateway]\nurl = \"ws://x\"\n[cron]\n"+cron))
		if err != nil {
			t.Fatal(err)
		}
		if got := config.usercronPath("/h"); got != want {
			t.Errorf("%q gave %q, not %q", cron, got, want)
		}
	}
	if got := (&Config{}).usercronPath("/h"); got != "" {
		t.Errorf("no section gave %q", got)
	}
}

func TestAnAgentDoesTheJobsOfItsHome(t *testing.T) {
	url, contents := webhook(t, 0)
	a := goodAgent(t, release.Release{Version: "1.0.0", Schema: 1})
	a.arguments[2] = write(t, "[discord]\nbot_token = \"t0ken\"\n[cron]\nusercron_enabled = true\n")
	file := filepath.Join(os.Getenv("HOME"), ".openab", "cronjob.toml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(job(url, "good morning")), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- a.run("openab") }()
	select {
	case content := <-contents:
		if content != "good morning" {
			t.Errorf("%q arrived", content)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing arrived")
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
