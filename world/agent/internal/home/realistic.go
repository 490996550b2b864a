package home

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver named "sqlite"
)

var words = strings.Fields(`agent answer backup branch build chart check claim cluster commit config deploy digest
error file fix helm home image issue label line log merge message mount node note pod probe pull push queue read
release review rollback route secret session shell state step store stream table task test thread token tool tree
update upgrade value verify volume watch write`)

// prose returns text of about size bytes, in lines.
func (f *Filler) prose(size int) string {
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(words[f.random.IntN(len(words))])
		if f.random.IntN(12) == 0 {
			text.WriteString(".\n")
		} else {
			text.WriteByte(' ')
		}
	}
	return text.String() + "\n"
}

func (f *Filler) hex(digits int) string {
	var text strings.Builder
	for range digits {
		fmt.Fprintf(&text, "%x", f.random.IntN(16))
	}
	return text.String()
}

// agentFiles are what the agent's own tools keep: settings, steering, skills, credentials, sessions.
func agentFiles(f *Filler) {
	agents := f.Dir(".kiro/agents", 0o755)
	agents.File("default.json", `{
  "name": "default",
  "description": "Answers in the team's channel",
  "tools": ["read", "write", "shell"],
  "allowedTools": ["read"],
  "resources": ["file://.kiro/steering/**/*.md"]
}
`, 0o644)
	agents.File("reviewer.json", `{"name": "reviewer", "tools": ["read"]}`+"\n", 0o644)
	steering := f.Dir(".kiro/steering", 0o755)
	for _, name := range []string{"product", "structure", "tech", "style"} {
		steering.File(name+".md", "# "+name+"\n\n"+f.prose(1200), 0o644)
	}
	for _, skill := range []string{"release-notes", "triage", "weekly report"} {
		directory := f.Dir(".kiro/skills/"+skill, 0o755)
		directory.File("SKILL.md", "---\nname: "+skill+"\n---\n"+f.prose(2000), 0o644)
		directory.File("scripts/run.sh", "#!/bin/sh\nexec printf '%s\\n' \"$@\"\n", 0o755)
	}
	f.File(".kiro/settings/mcp.json", `{"mcpServers": {"docs": {"command": "docs", "env": {"API_KEY": "`+f.hex(32)+`"}}}}`+"\n", 0o600)
	f.File(".config/gh/hosts.yml", "github.com:\n    user: openab-bot\n    oauth_token: gho_"+f.hex(36)+"\n    git_protocol: https\n", 0o600)
	f.File(".config/gh/config.yml", "version: 1\ngit_protocol: https\n", 0o600)
	f.File(".gitconfig", "[user]\n\tname = bot\n\temail = bot@example.invalid\n", 0o644)
	f.File(".bash_history", f.prose(500), 0o600)
	for day := range 12 {
		f.File(fmt.Sprintf(".kiro/sessions/session-202502%02d-090000.000.jsonl", day+1), f.sessionLines(60), 0o600)
	}
	f.knowledge(".kiro/knowledge/index")
	f.Random(".cache/models/embedding.bin", 12<<20, 0o644)
}

func (f *Filler) sessionLines(count int) string {
	var text strings.Builder
	for range count {
		line := strings.ReplaceAll(strings.TrimSpace(f.prose(150)), "\n", " ")
		fmt.Fprintf(&text, "{\"kind\":\"user\",\"text\":%q}\n", line)
	}
	return text.String()
}

// knowledge is a SQLite database that is not called one, with a rollback journal instead of a write-ahead log.
func (f *Filler) knowledge(name string) {
	path := f.path(name)
	f.place(path)
	f.try(func() (err error) {
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		_, err = db.Exec("CREATE TABLE passage (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")
		for range 40 {
			if err != nil {
				return err
			}
			_, err = db.Exec("INSERT INTO passage (body) VALUES (?)", f.prose(400))
		}
		return err
	}, func() error { return touch(path, f.age()) })
	if info, err := os.Stat(path); err == nil {
		f.summary.Bytes += info.Size()
	}
}

// workspace is a checkout that the agent works on.
func workspace(f *Filler) {
	project := f.Dir("workspace/project", 0o755)
	for i := range 150 {
		project.File(filepath.Join("src", words[i%17], fmt.Sprintf("%s_%d.py", words[f.random.IntN(len(words))], i)), f.prose(200+f.random.IntN(6000)), 0o644)
	}
	for range 120 {
		object := f.hex(40)
		project.Random(".git/objects/"+object[:2]+"/"+object[2:], int64(100+f.random.IntN(3000)), 0o444)
	}
	project.File(".git/HEAD", "ref: refs/heads/main\n", 0o644)
	project.File("build/run", "#!/bin/sh\n", 0o755)
	project.Symlink("latest", "build/run")
	f.File("workspace/agent.log", f.prose(300_000), 0o644)
}

func smallFiles(f *Filler, count int) {
	for i := range count {
		f.File(fmt.Sprintf("%03d/file-%06d.txt", i/100, i), f.prose(50+f.random.IntN(4000)), 0o644)
	}
}

// mixedText is text that compresses, in files from small to large.
func mixedText(f *Filler, bytes int64) {
	for i := 0; bytes > 0 && f.err == nil; i++ {
		size := min(bytes, int64(4096)<<f.random.IntN(12))
		paragraph := f.prose(64 << 10)
		text := strings.Repeat(paragraph, int(size)/len(paragraph)+1)[:size]
		f.File(fmt.Sprintf("%03d/part-%06d.txt", i/100, i), text, 0o644)
		bytes -= size
	}
}
