package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"openab-sop/world/openab/internal/release"
	"openab-sop/world/openab/internal/tracelog"
)

func goodAgent(t *testing.T, played release.Release) *Agent {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("OPENAB_WRITE_INTERVAL", "5ms")
	config := write(t, "[discord]\nbot_token = \"t0ken\"\n")
	return &Agent{release: played, log: tracelog.New("openab"), arguments: []string{"run", "-c", config}, endingOn: []os.Signal{syscall.SIGTERM}}
}

func TestSigtermEndsItCleanlyWithinATenthOfASecond(t *testing.T) {
	fastest := time.Hour
	for range 3 { // a busy machine may hold up one of them
		fastest = min(fastest, timeToEnd(t))
	}
	if fastest > 100*time.Millisecond {
		t.Errorf("it took %v", fastest)
	}
}

// timeToEnd runs an agent until it is ready and tells how long it takes to end after SIGTERM.
func timeToEnd(t *testing.T) time.Duration {
	t.Helper()
	a := goodAgent(t, release.Release{Version: "1.0.0", Schema: 1})
	ended := make(chan error)
	go func() { ended <- a.run("openab") }()
	ready := filepath.Join(os.TempDir(), ReadyFile)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it never became ready")
		}
	}
	asked := time.Now()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	took := time.Since(asked)
	if _, err := os.Stat(filepath.Join(a.settings.Home, ".local/share/kiro-cli/data.sqlite3-wal")); err == nil {
		t.Error("the write-ahead log was left behind")
	}
	return took
}

func TestUnknownFaultsAndArgumentsAreErrors(t *testing.T) {
	if err := goodAgent(t, release.Release{Schema: 1, Fault: "no-such"}).run("openab"); err == nil {
		t.Error("an unknown fault was taken")
	}
	a := goodAgent(t, release.Release{Schema: 1})
	a.arguments = []string{"serve"}
	if err := a.run("openab"); err == nil {
		t.Error("unknown arguments were taken")
	}
}

func TestChatAnswersAndConnectsAgain(t *testing.T) {
	connections, answers := 0, make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /chat/connect", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bot t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		connections++
		_, _ = w.Write([]byte(`{"session": "s", "user": "bot"}`))
	})
	mux.HandleFunc("GET /chat/events", func(w http.ResponseWriter, _ *http.Request) {
		if connections == 1 {
			w.WriteHeader(http.StatusGone)
			return
		}
		_, _ = w.Write([]byte(`{"events": [{"id": "m1", "channel": "c", "text": "hi"}]}`))
	})
	mux.HandleFunc("POST /chat/messages", func(w http.ResponseWriter, r *http.Request) {
		var reply map[string]string
		_ = json.NewDecoder(r.Body).Decode(&reply)
		select {
		case answers <- reply["text"]:
		default:
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	chat := &Chat{BaseURL: server.URL, Token: "t0ken", Log: tracelog.New("test"), Connected: func(string) {},
		Answer: func(m Message) string { stop(); return m.Text + "!" }}
	if err := chat.Run(ctx); err != nil {
		t.Error(err)
	}
	if connections != 2 {
		t.Errorf("%d connections", connections)
	}
	chat.Token = "wrong"
	if err := chat.Run(t.Context()); err != errTokenRejected {
		t.Errorf("a rejected token gave %v", err)
	}
}
