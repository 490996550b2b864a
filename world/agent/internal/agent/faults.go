package agent

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// RenamedProcess is a link to this program in the image: under this name nobody looks for the agent.
const RenamedProcess = "acp-worker"

const exitOfPanic = 101 // what a Rust program ends with

// fault is what a bad version does at the three moments of its life; later is Release.After seconds after it connected.
type fault struct {
	atStart   func(*Agent)
	withState func(context.Context, *Agent)
	later     func(context.Context, *Agent)
	oneChat   bool // only the first of the configured chats is connected

	jobsElsewhere bool // the home's own jobs are looked for under another name
}

// faults by their names in a release file. The good version has the empty name.
var faults = completed(map[string]fault{
	"":                  {},
	"refuses-arguments": {atStart: refuseArguments},
	"panics-at-start":   {atStart: func(a *Agent) { a.panics("called `Option::unwrap()` on a `None` value") }},
	"panics-later":      {later: func(_ context.Context, a *Agent) { a.panics("index out of bounds: the len is 0") }},
	"never-ready":       {withState: func(ctx context.Context, _ *Agent) { <-ctx.Done() }},
	"wrong-process":     {atStart: renameProcess},
	"logs-errors":       {later: logErrors},
	"migration-fails":   {withState: failMigration},
	"deletes-files":     {withState: deleteFiles},
	"loses-connection":  {later: loseConnection},
	"ignores-sigterm":   {atStart: ignoreSigterm},
	"one-chat":          {oneChat: true},
	"jobs-elsewhere":    {jobsElsewhere: true},
})

// completed fills the moments that a fault does not name with doing nothing.
func completed(table map[string]fault) map[string]fault {
	for name, f := range table {
		if f.atStart == nil {
			f.atStart = func(*Agent) {}
		}
		if f.withState == nil {
			f.withState = func(context.Context, *Agent) {}
		}
		if f.later == nil {
			f.later = func(context.Context, *Agent) {}
		}
		table[name] = f
	}
	return table
}

func (a *Agent) panics(reason string) {
	a.log.Raw("thread 'main' panicked at src/main.rs:231:18:\n" + reason)
	os.Exit(exitOfPanic)
}

// refuseArguments is a binary whose command line changed while the chart's command did not.
func refuseArguments(a *Agent) {
	a.log.Raw(fmt.Sprintf("error: unexpected argument '%s' found\n\nUsage: openab serve [OPTIONS]", a.arguments[0]))
	os.Exit(2)
}

func renameProcess(a *Agent) {
	program, err := os.Executable()
	if err == nil {
		renamed := filepath.Join(filepath.Dir(program), RenamedProcess)
		err = syscall.Exec(renamed, append([]string{RenamedProcess}, a.arguments...), os.Environ())
	}
	a.log.Error("cannot rename the process", "error", err)
	os.Exit(1)
}

func logErrors(ctx context.Context, a *Agent) {
	log := a.log.Sub("acp").Sub("pool")
	for n := 1; ctx.Err() == nil; n++ {
		log.Error("session ended unexpectedly", "attempt", n, "error", `"broken pipe"`)
		pause(ctx, time.Second)
	}
}

// failMigration is a migration without a transaction that dies half way.
func failMigration(_ context.Context, a *Agent) {
	_, err := a.store.db.Exec("ALTER TABLE conversations RENAME TO conversations_old; PRAGMA user_version = 99;")
	a.panics(fmt.Sprintf("migration of conversations failed: no column named thread_id (%v)", err))
}

func deleteFiles(_ context.Context, a *Agent) {
	for _, victim := range []string{".kiro/steering", ".kiro/skills", ".config/gh/hosts.yml"} {
		if err := os.RemoveAll(filepath.Join(a.settings.Home, victim)); err != nil {
			a.log.Warn("cleanup", "error", err)
		}
	}
	a.log.Info("cleaned up the home of what is no longer used")
}

func loseConnection(_ context.Context, a *Agent) {
	a.dropChat()
	a.log.Error("connection closed by the platform (4014), not trying again")
}

func ignoreSigterm(a *Agent) {
	signal.Ignore(syscall.SIGTERM)
	a.endingOn = []os.Signal{os.Interrupt}
}
