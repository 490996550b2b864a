// Package agent is the stand-in for "openab run": it starts, logs, connects, keeps state and ends as the real one does,
// or misbehaves as its release says.
package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"openab-sop/world/openab/internal/release"
	"openab-sop/world/openab/internal/tracelog"
)

// ReadyFile exists below the temporary directory once the agent is connected: what a readiness probe can look at.
const ReadyFile = "openab-ready"

// Agent is one run of the process.
type Agent struct {
	release   release.Release
	settings  Settings
	config    *Config
	store     *Store
	sessions  *Sessions
	log       *tracelog.Logger
	arguments []string
	endingOn  []os.Signal
	dropChat  context.CancelFunc
}

// Main runs the agent and returns the exit status of its process.
func Main(name string, arguments []string) int {
	log := tracelog.New("openab")
	played, err := release.Load(release.Path)
	if err == nil {
		a := &Agent{release: played, log: log, arguments: arguments, endingOn: []os.Signal{os.Interrupt, syscall.SIGTERM}}
		err = a.run(name)
	}
	if err != nil {
		log.Error(err.Error())
		return 1
	}
	return 0
}

func (a *Agent) run(name string) error {
	fault, known := faults[a.release.Fault]
	if !known {
		return fmt.Errorf("release file: unknown fault %q", a.release.Fault)
	}
	if name != RenamedProcess {
		fault.atStart(a)
	}
	path, err := configPath(a.arguments)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), a.endingOn...)
	defer stop()
	if err := a.load(path); err != nil {
		return err
	}
	if err := a.open(); err != nil {
		return err
	}
	fault.withState(ctx, a)
	work := a.startWork(ctx, fault)
	err = a.converse(ctx, fault)
	stop()
	a.log.Info("shutdown signal received")
	work.Wait()
	if err := errors.Join(err, a.store.Close()); err != nil {
		return err
	}
	a.log.Info("openab shut down")
	return nil
}

func configPath(arguments []string) (string, error) {
	if len(arguments) == 3 && arguments[0] == "run" && (arguments[1] == "-c" || arguments[1] == "--config") {
		return arguments[2], nil
	}
	return "", errors.New("usage: openab run -c CONFIG")
}

func (a *Agent) load(path string) (err error) {
	if a.settings, err = loadSettings(); err != nil {
		return err
	}
	if a.config, err = loadConfig(path); err != nil {
		return err
	}
	a.log.Info("config loaded", "version", a.release.Version, "agent_cmd", a.config.Agent.Command,
		"pool_max", a.config.Pool.MaxSessions, "discord", a.config.Discord != nil, "slack", a.config.Slack != nil)
	a.log.Info("understood " + a.config.understood)
	for _, notice := range a.release.Notices {
		a.log.Raw(notice)
	}
	return nil
}

func (a *Agent) open() error {
	var durable bool
	var err error
	if a.store, durable, err = openStore(a.settings.Home, a.release.Schema); err != nil {
		return err
	}
	if !durable {
		a.log.Warn("the home is read-only: nothing will be remembered")
		a.sessions = &Sessions{}
		return nil
	}
	if a.sessions, err = openSessions(a.settings.Home, time.Now()); err != nil {
		return err
	}
	return a.sessions.Append("start", a.release.Version)
}

// startWork starts what goes on beside the conversation: the steady writer, the session file's if it is wanted, and the
// home's own jobs.
func (a *Agent) startWork(ctx context.Context, fault fault) *sync.WaitGroup {
	var work sync.WaitGroup
	rows := 0
	repeat(ctx, &work, a.settings.WriteInterval, func() error {
		rows++
		if err := a.store.Beat(); err != nil {
			return err
		}
		if a.settings.CheckpointEvery > 0 && rows%a.settings.CheckpointEvery == 0 {
			return a.store.Checkpoint()
		}
		return nil
	}, a.log.Sub("store"))
	repeat(ctx, &work, a.settings.SessionInterval, func() error {
		return a.sessions.Append("thought", strings.Repeat("still here. ", 20))
	}, a.log.Sub("sessions"))
	if path := a.config.usercronPath(a.settings.Home); path != "" {
		if fault.jobsElsewhere {
			path += ".elsewhere"
		}
		usercron := newUsercron(path, a.log.Sub("cron"))
		work.Go(func() { usercron.Run(ctx) })
	}
	return &work
}

// repeat calls do at every interval until the context ends; an interval of 0 means never.
func repeat(ctx context.Context, work *sync.WaitGroup, interval time.Duration, do func() error, log *tracelog.Logger) {
	if interval == 0 {
		return
	}
	work.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := do(); err != nil {
					log.Error(err.Error())
				}
			}
		}
	})
}

// converse connects the adapters and returns when the process has to end.
func (a *Agent) converse(ctx context.Context, fault fault) error {
	if a.config.Cron != nil {
		a.log.Sub("cron").Info("starting cron scheduler", "baseline", len(a.config.Cron.Jobs),
			"usercron", a.config.usercronPath(a.settings.Home) != "")
	}
	if a.config.Gateway != nil {
		a.log.Sub("gateway").Info("starting gateway adapter", "url", a.config.Gateway.URL)
	}
	adapter, token := "gateway", ""
	switch {
	case a.config.Discord != nil:
		adapter, token = "discord", a.config.Discord.BotToken
	case a.config.Slack != nil:
		adapter, token = "slack", a.config.Slack.BotToken
	case a.config.Gateway == nil:
		adapter = "telegram"
	}
	chatting, drop := context.WithCancel(ctx)
	defer drop()
	a.dropChat = drop
	var once sync.Once
	log := a.log.Sub(adapter)
	connected := func(user string) {
		a.announce(adapter, user)
		once.Do(func() {
			if !fault.oneChat {
				a.announceOthers(adapter)
			}
			a.becomeReady(ctx, fault)
		})
	}
	if a.settings.ChatURL == "" || adapter == "telegram" {
		connected("offline")
		<-ctx.Done()
		return nil
	}
	chat := &Chat{BaseURL: a.settings.ChatURL, Token: token, Version: a.release.Version,
		Log: log, Connected: connected, Answer: a.answer}
	if err := chat.Run(chatting); err != nil {
		return err
	}
	<-ctx.Done() // a dropped connection leaves the process as it is: alive and deaf
	return nil
}

// announce logs, in the words of the real agent, that a chat is connected.
func (a *Agent) announce(adapter, user string) {
	log := a.log.Sub(adapter)
	switch adapter {
	case "discord":
		log.Info("discord bot connected", "user", user)
	case "slack":
		log.Info("Socket Mode connected")
	case "gateway":
		log.Info("connected to gateway")
	case "telegram":
		log.Info("unified webhook server listening")
	}
}

// announceOthers does so for every further chat of the configuration; messages come through the first one.
func (a *Agent) announceOthers(first string) {
	others := map[string]bool{
		"slack": a.config.Slack != nil, "gateway": a.config.Gateway != nil, "telegram": a.config.Telegram != nil,
	}
	for _, adapter := range slices.Sorted(maps.Keys(others)) {
		if others[adapter] && adapter != first {
			a.announce(adapter, "")
		}
	}
}

func (a *Agent) becomeReady(ctx context.Context, fault fault) {
	if err := os.WriteFile(filepath.Join(os.TempDir(), ReadyFile), nil, 0o644); err != nil {
		a.log.Warn("cannot tell that it is ready", "error", err)
	}
	go func() {
		pause(ctx, time.Duration(a.release.After)*time.Second)
		if ctx.Err() == nil {
			fault.later(ctx, a)
		}
	}()
}

// answer echoes a message with the version; one that begins with "tool" also makes a simulated tool call.
func (a *Agent) answer(message Message) string {
	reply := fmt.Sprintf("%s (openab %s)", message.Text, a.release.Version)
	if strings.HasPrefix(message.Text, "tool") {
		reply = fmt.Sprintf("tool call done: the home has %d entries (openab %s)", countEntries(a.settings.Home), a.release.Version)
	}
	err := errors.Join(a.sessions.Append("user", message.Text), a.sessions.Append("bot", reply), a.store.Remember(message.Channel, message.Text))
	if err != nil {
		a.log.Error("cannot remember a message", "error", err)
	}
	return reply
}

func countEntries(directory string) int {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return 0
	}
	return len(entries)
}
