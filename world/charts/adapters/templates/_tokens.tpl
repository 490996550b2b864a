{{/* Tokens that the values carry: a JSON list of {env, key, value}. Secret and container are both made from it. */}}
{{- define "agent.tokens" -}}
{{- $discord := .spec.discord | default dict -}}
{{- $slack := .spec.slack | default dict -}}
{{- $stt := .spec.stt | default dict -}}
{{- $tokens := list -}}
{{- if and $discord.botToken (ne (toString (get $discord "enabled")) "false") -}}
{{- $tokens = append $tokens (dict "env" "DISCORD_BOT_TOKEN" "key" "discord-bot-token" "value" $discord.botToken) -}}
{{- end -}}
{{- if and $slack.enabled $slack.botToken -}}
{{- $tokens = append $tokens (dict "env" "SLACK_BOT_TOKEN" "key" "slack-bot-token" "value" $slack.botToken) -}}
{{- end -}}
{{- if and $slack.enabled $slack.appToken -}}
{{- $tokens = append $tokens (dict "env" "SLACK_APP_TOKEN" "key" "slack-app-token" "value" $slack.appToken) -}}
{{- end -}}
{{- if and $stt.enabled $stt.apiKey -}}
{{- $tokens = append $tokens (dict "env" "STT_API_KEY" "key" "stt-api-key" "value" $stt.apiKey) -}}
{{- end -}}
{{- include "agent.moreTokens" . | fromJsonArray | concat $tokens | toJson -}}
{{- end }}
