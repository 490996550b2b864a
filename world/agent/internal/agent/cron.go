package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/BurntSushi/toml"

	"openab-sop/world/openab/internal/tracelog"
)

const (
	usercronDirectory = ".openab"
	usercronFile      = "cronjob.toml"
	usercronInterval  = time.Second
	webhookTimeout    = 5 * time.Second
)

// Usercron does the jobs that a file in the home lists: whoever starts a copy of the home starts these too.
// Schedules are not kept: a job is done at once and once per start, so that a test need not wait for its hour.
type Usercron struct {
	path   string
	log    *tracelog.Logger
	client http.Client
	fired  map[userJob]bool
	warned map[string]bool // what was said already: it is tried again every second, but told once
}

// userJob is what the stand-in heeds of a job: with a webhook the message goes there, as Discord takes it.
type userJob struct {
	Webhook string `toml:"webhook"`
	Message string `toml:"message"`
}

// usercronPath is the file of the home's own jobs, "" if they are not enabled.
func (c *Config) usercronPath(home string) string {
	switch {
	case c.Cron == nil || !c.Cron.UsercronEnabled:
		return ""
	case c.Cron.UsercronPath == "":
		return filepath.Join(home, usercronDirectory, usercronFile)
	case filepath.IsAbs(c.Cron.UsercronPath):
		return c.Cron.UsercronPath
	}
	return filepath.Join(home, usercronDirectory, c.Cron.UsercronPath)
}

func newUsercron(path string, log *tracelog.Logger) *Usercron {
	client := http.Client{Timeout: webhookTimeout}
	return &Usercron{path: path, log: log, client: client, fired: map[userJob]bool{}, warned: map[string]bool{}}
}

// Run looks into the file now and every second until the context ends.
func (u *Usercron) Run(ctx context.Context) {
	if jobs, err := readJobs(u.path); err == nil && len(jobs) > 0 {
		u.log.Info("loaded usercron jobs", "count", len(jobs), "path", u.path)
	} else {
		u.log.Info("no cronjobs yet, but usercron_path is set — scheduler will watch for cronjob.toml")
	}
	for ; ctx.Err() == nil; pause(ctx, usercronInterval) {
		u.look(ctx)
	}
}

func (u *Usercron) look(ctx context.Context) {
	jobs, err := readJobs(u.path)
	if err != nil {
		u.warnOnce("cannot read the usercron file", err)
	}
	for number, job := range jobs {
		u.fire(ctx, number, job)
	}
}

func (u *Usercron) fire(ctx context.Context, number int, job userJob) {
	if job.Webhook == "" || u.fired[job] {
		return
	}
	err := u.post(ctx, job)
	switch {
	case err == nil:
		u.fired[job] = true
		u.log.Info("fired usercron job", "job", number)
	case ctx.Err() == nil:
		u.warnOnce(fmt.Sprintf("cannot fire usercron job %d", number), err)
	}
}

func (u *Usercron) post(ctx context.Context, job userJob) error {
	body, err := json.Marshal(map[string]string{"content": job.Message})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, job.Webhook, bytes.NewReader(body))
	if err != nil {
		return errors.New("its webhook is not a URL") // the error itself would quote it, with its token
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := u.client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // its own text would quote the URL
			return failed.Err
		}
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return errors.New(response.Status)
	}
	return nil
}

func (u *Usercron) warnOnce(message string, err error) {
	if !u.warned[message] {
		u.warned[message] = true
		u.log.Warn(message, "error", fmt.Sprintf("%q", err))
	}
}

// readJobs returns the jobs of the file; none if it does not exist. Its errors quote nothing of it.
func readJobs(path string) ([]userJob, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var file struct {
		Jobs []struct {
			userJob
			Enabled *bool `toml:"enabled"`
		} `toml:"jobs"`
	}
	if _, err := toml.Decode(string(raw), &file); err != nil {
		return nil, fmt.Errorf("%s is not valid TOML, or a value is of the wrong type", path)
	}
	var jobs []userJob
	for _, job := range file.Jobs {
		if job.Enabled == nil || *job.Enabled {
			jobs = append(jobs, job.userJob)
		}
	}
	return jobs, nil
}
