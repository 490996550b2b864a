package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Sessions is the agent's record of conversations below its home: one file for each of its starts, one JSON line for each event.
type Sessions struct {
	mutex sync.Mutex
	file  *os.File
}

func openSessions(home string, started time.Time) (*Sessions, error) {
	directory := filepath.Join(home, ".kiro/sessions")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("session-%s.jsonl", started.UTC().Format("20060102-150405.000"))
	file, err := os.OpenFile(filepath.Join(directory, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &Sessions{file: file}, err
}

// Append adds one event. Without a file (a home that is not kept) it does nothing.
func (s *Sessions) Append(kind, text string) error {
	if s.file == nil {
		return nil
	}
	line, err := json.Marshal(map[string]string{"at": time.Now().UTC().Format(time.RFC3339Nano), "kind": kind, "text": text})
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	_, err = s.file.Write(append(line, '\n'))
	return err
}
