package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"openab-sop/world/openab/internal/tracelog"
)

const (
	pollSeconds = 20 // how long the endpoint may hold a poll without an event
	retryPause  = time.Second
)

// errTokenRejected ends the agent; every other trouble with the endpoint is tried again.
var errTokenRejected = errors.New("the chat endpoint rejected the bot token")

// Message is one line that somebody wrote to the bot.
type Message struct {
	ID      string `json:"id"`
	Channel string `json:"channel"`
	Text    string `json:"text"`
}

// Chat is the agent's side of the chat endpoint: plain HTTP, long polling, the token in the Authorization header.
type Chat struct {
	BaseURL   string
	Token     string
	Version   string
	Log       *tracelog.Logger
	Connected func(user string)
	Answer    func(Message) string

	client http.Client
}

// Run stays connected until the context ends; it returns errTokenRejected if it never can be.
func (c *Chat) Run(ctx context.Context) error {
	c.client.Timeout = (pollSeconds + 10) * time.Second
	for ctx.Err() == nil {
		err := c.session(ctx)
		if errors.Is(err, errTokenRejected) {
			return err
		}
		if ctx.Err() == nil {
			c.Log.Warn("connection lost, trying again", "error", fmt.Sprintf("%q", err))
			pause(ctx, retryPause)
		}
	}
	return nil
}

// session connects once and answers messages until something fails.
func (c *Chat) session(ctx context.Context) error {
	var hello struct {
		Session string `json:"session"`
		User    string `json:"user"`
	}
	if err := c.call(ctx, http.MethodPost, "/chat/connect", map[string]string{"version": c.Version}, &hello); err != nil {
		return err
	}
	c.Connected(hello.User)
	poll := "/chat/events?" + url.Values{"session": {hello.Session}, "wait": {fmt.Sprint(pollSeconds)}}.Encode()
	for {
		var batch struct {
			Events []Message `json:"events"`
		}
		if err := c.call(ctx, http.MethodGet, poll, nil, &batch); err != nil {
			return err
		}
		for _, message := range batch.Events {
			reply := map[string]string{"session": hello.Session, "reply_to": message.ID, "text": c.Answer(message)}
			if err := c.call(ctx, http.MethodPost, "/chat/messages", reply, nil); err != nil {
				return err
			}
		}
	}
}

// call sends body and reads the answer as JSON; either may be nil.
func (c *Chat) call(ctx context.Context, method, path string, body, answer any) error {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.BaseURL+path, sent)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bot "+c.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return errTokenRejected
	case response.StatusCode >= 300:
		return fmt.Errorf("%s: %s", path, response.Status)
	case answer == nil:
		return nil
	}
	return json.NewDecoder(response.Body).Decode(answer)
}

// pause waits for d, or less if the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
