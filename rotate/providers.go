package rotate

import (
	"path"
	"slices"
	"strings"
)

// An issuer is who gave out a secret and where it is replaced. Nothing here contacts a page.
type issuer struct {
	name, page string
	how        string // "" for a key that is revoked and made anew on the page
}

const (
	howUnknown = "replace it at whoever issued it, then here"
	howKey     = "revoke the key on the page and make a new one; look at its use since the intrusion"
	howOld     = "make sure on the page that this old value is revoked"
	howUser    = "change it where it is used, then remove this copy"
)

// issuers are the providers that OpenClaw's config knows (its docs/providers, docs/channels and
// secretref-user-supplied-credentials-matrix.json, 2026.9.6), and those whose programs keep a login in a home.
var issuers = map[string]issuer{
	"alibaba":        {name: "Alibaba Model Studio", page: "https://modelstudio.console.alibabacloud.com/?tab=dashboard#/api-key"},
	"anthropic":      {name: "Anthropic", page: "https://console.anthropic.com/settings/keys"},
	"arcee":          {name: "Arcee", page: "https://chat.arcee.ai/"},
	"assemblyai":     {name: "AssemblyAI", page: "https://www.assemblyai.com/app/api-keys"},
	"aws":            {name: "AWS", page: "https://console.aws.amazon.com/iam/home#/security_credentials", how: "deactivate the access key on the page, make a new one, and look in CloudTrail for what the old one did"},
	"azure":          {name: "Azure", page: "https://portal.azure.com/", how: "revoke the account's sessions and the application's secrets in Entra ID, then log in anew"},
	"baseten":        {name: "Baseten", page: "https://app.baseten.co/settings/api_keys"},
	"brave":          {name: "Brave Search", page: "https://api-dashboard.search.brave.com/app/keys"},
	"browserbase":    {name: "Browserbase", page: "https://www.browserbase.com/settings"},
	"byteplus":       {name: "BytePlus", page: "https://console.byteplus.com/ark/apiKey"},
	"cerebras":       {name: "Cerebras", page: "https://cloud.cerebras.ai/"},
	"chutes":         {name: "Chutes", page: "https://chutes.ai/app/settings/api-keys"},
	"clawhub":        {name: "ClawHub", page: "https://clawhub.ai/settings"},
	"cloudflare":     {name: "Cloudflare", page: "https://dash.cloudflare.com/profile/api-tokens"},
	"cohere":         {name: "Cohere", page: "https://dashboard.cohere.com/api-keys"},
	"comfy":          {name: "Comfy", page: "https://platform.comfy.org/profile/api-keys"},
	"deepgram":       {name: "Deepgram", page: "https://console.deepgram.com/"},
	"deepinfra":      {name: "DeepInfra", page: "https://deepinfra.com/dash/api_keys"},
	"deepseek":       {name: "DeepSeek", page: "https://platform.deepseek.com/api_keys"},
	"digitalocean":   {name: "DigitalOcean", page: "https://cloud.digitalocean.com/account/api/tokens"},
	"docker":         {name: "Docker Hub", page: "https://app.docker.com/settings/personal-access-tokens"},
	"elevenlabs":     {name: "ElevenLabs", page: "https://elevenlabs.io/app/settings/api-keys"},
	"exa":            {name: "Exa", page: "https://dashboard.exa.ai/api-keys"},
	"fal":            {name: "fal", page: "https://fal.ai/dashboard/keys"},
	"featherless":    {name: "Featherless", page: "https://featherless.ai/account/api-keys"},
	"firecrawl":      {name: "Firecrawl", page: "https://www.firecrawl.dev/app/api-keys"},
	"fireworks":      {name: "Fireworks", page: "https://app.fireworks.ai/settings/users/api-keys"},
	"fish":           {name: "Fish Audio", page: "https://fish.audio/app/api-keys"},
	"fly":            {name: "Fly.io", page: "https://fly.io/user/personal_access_tokens"},
	"gcp":            {name: "Google Cloud", page: "https://console.cloud.google.com/iam-admin/serviceaccounts", how: "delete the service account's key, or revoke the login at https://myaccount.google.com/permissions, then log in anew"},
	"github":         {name: "GitHub", page: "https://github.com/settings/tokens", how: "revoke the token, and at https://github.com/settings/applications the application's; look in the security log for keys and workflows that were added"},
	"github-copilot": {name: "GitHub Copilot", page: "https://github.com/settings/applications", how: "revoke the application's access, then log in anew"},
	"gitlab":         {name: "GitLab", page: "https://gitlab.com/-/user_settings/personal_access_tokens"},
	"gmi":            {name: "GMI Cloud", page: "https://www.gmicloud.ai/"},
	"google":         {name: "Google AI Studio", page: "https://aistudio.google.com/apikey"},
	"google-account": {name: "Google account", page: "https://myaccount.google.com/connections", how: "remove the application's access, then log in anew"},
	"gradium":        {name: "Gradium", page: "https://gradium.ai/"},
	"groq":           {name: "Groq", page: "https://console.groq.com/keys"},
	"hetzner":        {name: "Hetzner Cloud", page: "https://console.hetzner.com/"},
	"huggingface":    {name: "Hugging Face", page: "https://huggingface.co/settings/tokens"},
	"inworld":        {name: "Inworld", page: "https://platform.inworld.ai/"},
	"kilocode":       {name: "Kilo Code", page: "https://app.kilo.ai/"},
	"linear":         {name: "Linear", page: "https://linear.app/settings/account/security"},
	"longcat":        {name: "LongCat", page: "https://longcat.chat/platform/api_keys"},
	"meta":           {name: "Meta AI", page: "https://dev.meta.ai/"},
	"minimax":        {name: "MiniMax", page: "https://platform.minimax.io/user-center/basic-information/interface-key"},
	"mistral":        {name: "Mistral", page: "https://console.mistral.ai/api-keys"},
	"moltbook":       {name: "Moltbook", page: "https://www.moltbook.com/settings", how: "make a new key for the agent; posts in its name since the intrusion may not be its own"},
	"moonshot":       {name: "Moonshot", page: "https://platform.moonshot.ai/console/api-keys"},
	"notion":         {name: "Notion", page: "https://www.notion.so/profile/integrations"},
	"novita":         {name: "Novita", page: "https://novita.ai/settings/key-management"},
	"npm":            {name: "npm", page: "https://www.npmjs.com/settings/~/tokens", how: "revoke the token, and look at the versions that were published since the intrusion"},
	"nvidia":         {name: "NVIDIA", page: "https://build.nvidia.com/settings/api-keys"},
	"ollama":         {name: "Ollama", page: "https://ollama.com/settings/keys"},
	"onepassword":    {name: "1Password", page: "https://my.1password.com/developer-tools/active", how: "revoke the service account's token; replace everything in the vaults it could read"},
	"openai":         {name: "OpenAI", page: "https://platform.openai.com/api-keys"},
	"opencode":       {name: "OpenCode", page: "https://opencode.ai/auth"},
	"openrouter":     {name: "OpenRouter", page: "https://openrouter.ai/keys"},
	"parallel":       {name: "Parallel", page: "https://platform.parallel.ai/settings?tab=api-keys"},
	"perplexity":     {name: "Perplexity", page: "https://www.perplexity.ai/settings/api"},
	"pixverse":       {name: "PixVerse", page: "https://platform.pixverse.ai/"},
	"pluralkit":      {name: "PluralKit", page: "https://dash.pluralkit.me/", how: "send the bot \"pk;token refresh\""},
	"pypi":           {name: "PyPI", page: "https://pypi.org/manage/account/token/", how: "remove the token, and look at the releases since the intrusion"},
	"qianfan":        {name: "Baidu Qianfan", page: "https://console.bce.baidu.com/qianfan/ais/console/apiKey"},
	"qwen":           {name: "Qwen", page: "https://home.qwencloud.com/api-keys"},
	"replicate":      {name: "Replicate", page: "https://replicate.com/account/api-tokens"},
	"rubygems":       {name: "RubyGems", page: "https://rubygems.org/profile/api_keys"},
	"runway":         {name: "Runway", page: "https://dev.runwayml.com/"},
	"rust":           {name: "crates.io", page: "https://crates.io/settings/tokens"},
	"sendgrid":       {name: "SendGrid", page: "https://app.sendgrid.com/settings/api_keys"},
	"senseaudio":     {name: "SenseAudio", page: "https://senseaudio.cn/"},
	"shopify":        {name: "Shopify", page: "https://admin.shopify.com/settings/apps/development"},
	"speech":         {name: "Azure Speech", page: "https://portal.azure.com/#view/Microsoft_Azure_ProjectOxford/CognitiveServicesHub/~/SpeechServices"},
	"stepfun":        {name: "StepFun", page: "https://platform.stepfun.com/"},
	"stripe":         {name: "Stripe", page: "https://dashboard.stripe.com/apikeys", how: "roll the key, and look at the payouts and events since the intrusion"},
	"synthetic":      {name: "Synthetic", page: "https://synthetic.new/user-settings/api"},
	"tailscale":      {name: "Tailscale", page: "https://login.tailscale.com/admin/settings/keys", how: "revoke the key, and look at the machines for ones you do not know"},
	"tavily":         {name: "Tavily", page: "https://app.tavily.com/home"},
	"tencent":        {name: "Tencent Cloud", page: "https://console.cloud.tencent.com/cam/capi"},
	"terraform":      {name: "HCP Terraform", page: "https://app.terraform.io/app/settings/tokens"},
	"together":       {name: "Together AI", page: "https://api.together.ai/settings/api-keys"},
	"twilio":         {name: "Twilio", page: "https://console.twilio.com/us1/account/keys-credentials/api-keys", how: "make a secondary auth token and promote it"},
	"typesafe":       {name: "Typesafe"},
	"vault":          {name: "Vault", how: "revoke the token in your Vault"},
	"venice":         {name: "Venice", page: "https://venice.ai/"},
	"vercel":         {name: "Vercel AI Gateway", page: "https://vercel.com/d?to=%2F%5Bteam%5D%2F%7E%2Fai%2Fapi-keys"},
	"volcengine":     {name: "Volcengine", page: "https://console.volcengine.com/ark/region:ark+cn-beijing/apiKey"},
	"voyage":         {name: "Voyage AI", page: "https://dashboard.voyageai.com/api-keys"},
	"vydra":          {name: "Vydra", page: "https://www.vydra.ai/"},
	"xai":            {name: "xAI", page: "https://console.x.ai/"},
	"xiaomi":         {name: "Xiaomi MiMo", page: "https://platform.xiaomimimo.com/#/console/api-keys"},
	"zai":            {name: "Z.AI", page: "https://z.ai/manage-apikey/apikey-list"},
}

// aliases are other names of issuers: of OpenClaw's providers and plugins, and what the names of variables begin with.
var aliases = map[string]string{
	"acpx": "openai", "anthropic-vertex": "gcp", "arceeai": "arcee", "azure-openai": "azure", "azure-openai-responses": "azure", "azure-speech": "speech",
	"amazon-bedrock": "aws", "bedrock": "aws", "aws-bearer": "aws", "chatgpt": "openai", "claude": "anthropic", "claude-cli": "anthropic",
	"cloudflare-ai-gateway": "cloudflare", "cf": "cloudflare", "codex": "openai", "codex-cli": "openai", "copilot": "github-copilot",
	"copilot-github": "github-copilot", "dashscope": "alibaba", "deepgram-stt": "deepgram", "discord-bot": "discord",
	"fish-audio": "fish", "gcloud": "gcp", "gemini": "google", "gh": "github", "glm": "zai", "google-ai": "google", "google-antigravity": "google-account",
	"google-gemini-cli": "google-account", "google-generative-ai": "google", "google-vertex": "gcp", "google-cloud": "gcp", "hf": "huggingface",
	"huggingface-hub": "huggingface", "kilo": "kilocode", "kimi": "moonshot", "kimi-code": "moonshot", "kimi-coding": "moonshot", "kimicode": "moonshot", "microsoft": "azure",
	"microsoft-foundry": "azure", "minimax-code-plan": "minimax", "minimax-coding": "minimax", "minimax-oauth": "minimax", "minimax-portal": "minimax",
	"modelstudio": "alibaba", "ollama-cloud": "ollama", "op": "onepassword", "op-service-account": "onepassword", "1password": "onepassword",
	"openai-codex": "openai", "opencode-go": "opencode", "opencode-zen": "opencode", "openai-admin": "openai", "anthropic-admin": "anthropic", "anthropic-oauth": "anthropic",
	"pplx": "perplexity", "qwen-portal": "qwen", "runwayml": "runway", "slack-app": "slack", "slack-bot": "slack", "slack-signing": "slack", "slack-user": "slack",
	"telegram-bot": "telegram", "tokenhub": "tencent", "tokenplan": "tencent", "tts": "openai", "vercel-ai-gateway": "vercel", "volc": "volcengine", "x-ai": "xai", "xi": "elevenlabs",
	"z-ai": "zai", "zhipu": "zai", "npm-config": "npm", "node-auth": "npm", "twine": "pypi", "digitalocean-access": "digitalocean", "do": "digitalocean", "browserless": "browserbase",
	"github-copilot-cli": "github-copilot", "gitlab-private": "gitlab", "hcloud": "hetzner", "line-channel": "line", "line-channel-access": "line",
	"matrix-access": "matrix", "mattermost-bot": "mattermost", "msteams-app": "msteams", "twitch-access": "twitch", "zalo-bot": "zalo", "feishu-app": "feishu", "aws-secret-access": "aws", "aws-session": "aws",
}

// A channelKind is a channel's secrets: whose they are and how an intruder is put out.
type channelKind struct {
	name, page, how string
	kind            Kind // KindChannel if ""
}

// channels are those of OpenClaw's docs/channels (2026.9.6) with the former ones.
var channels = map[string]channelKind{
	"telegram":       {name: "Telegram", page: "https://t.me/BotFather", how: "send /revoke to @BotFather, choose the bot, and put the new token into the config"},
	"discord":        {name: "Discord", page: "https://discord.com/developers/applications", how: "reset the bot's token on its page, and look at the servers it is in"},
	"slack":          {name: "Slack", page: "https://api.slack.com/apps", how: "rotate the app's tokens and signing secret (or reinstall it), and look at its scopes and collaborators"},
	"whatsapp":       {name: "WhatsApp", kind: KindLink, how: howWhatsApp},
	"signal":         {name: "Signal", kind: KindSession, how: "on the phone: Settings > Linked devices, unlink this one; a number registered here must be registered anew"},
	"imessage":       {name: "iMessage", kind: KindSession, page: "https://account.apple.com/account/manage", how: "change the Apple account's password and remove devices that you do not know"},
	"bluebubbles":    {name: "BlueBubbles", kind: KindSession, how: "set a new server password in the BlueBubbles app"},
	"matrix":         {name: "Matrix", kind: KindSession, how: "in another Matrix client: sign out this session, change the password, and reset the recovery key"},
	"zalouser":       {name: "Zalo (personal)", kind: KindSession, page: "https://chat.zalo.me/", how: "in the Zalo app: log out of all other devices, then change the password"},
	"wechat":         {name: "WeChat", kind: KindSession, how: "in WeChat: Me > Settings > Account Security > Login Devices, remove this one"},
	"tlon":           {name: "Tlon", kind: KindSession, how: "make a new access code in the ship (|code %reset)"},
	"nostr":          {name: "Nostr", kind: KindSession, how: "the key is the identity and cannot be replaced: make a new one and tell the contacts"},
	"buzz":           {name: "Buzz", kind: KindSession, how: "the key is the identity: make a new one and have the community remove the old"},
	"reef":           {name: "Reef", kind: KindSession, how: "make a new identity and have the friends remove the old"},
	"irc":            {name: "IRC", kind: KindSession, how: "change the NickServ and the server password"},
	"twitch":         {name: "Twitch", kind: KindSession, page: "https://www.twitch.tv/settings/connections", how: "disconnect the application, then make a new token"},
	"msteams":        {name: "Microsoft Teams", page: "https://portal.azure.com/", how: "make a new client secret for the bot's app registration and delete the old"},
	"googlechat":     {name: "Google Chat", page: "https://console.cloud.google.com/iam-admin/serviceaccounts", how: "delete the service account's key and make a new one"},
	"mattermost":     {name: "Mattermost", how: "in Mattermost: Integrations > Bot Accounts, revoke the token and make a new one"},
	"line":           {name: "LINE", page: "https://developers.line.biz/console/", how: "reissue the channel access token and the channel secret"},
	"feishu":         {name: "Feishu", page: "https://open.feishu.cn/app", how: "reset the app secret, the verification token and the encrypt key"},
	"zalo":           {name: "Zalo", page: "https://bot.zapps.me/", how: "make a new bot token and webhook secret"},
	"qqbot":          {name: "QQ bot", page: "https://q.qq.com/", how: "reset the client secret"},
	"wecom":          {name: "WeCom", page: "https://work.weixin.qq.com/wework_admin/frame", how: "make a new secret for the app and a new callback key"},
	"yuanbao":        {name: "Yuanbao", how: "make a new app key"},
	"nextcloud-talk": {name: "Nextcloud Talk", how: "uninstall the bot with occ talk:bot:uninstall, install it with a new secret, and revoke the app password"},
	"synology-chat":  {name: "Synology Chat", how: "in Synology Chat: Integration, make new tokens for the bot and the webhooks"},
	"sms":            {name: "Twilio", page: "https://console.twilio.com/", how: "make a secondary auth token and promote it"},
	"clickclack":     {name: "ClickClack", how: "revoke the token and make a new one"},
	"raft":           {name: "Raft", how: "revoke the token and make a new one"},
	"a2a":            {name: "A2A", how: "give the peer a new token"},
	"moltbook":       {name: "Moltbook", page: "https://www.moltbook.com/settings", how: "make a new key for the agent"},
}

const howWhatsApp = "on the phone: Settings > Linked devices, log out every device that you do not know and this one; deleting the files here does not unlink it"

// A valueFormat tells an issuer from how a value begins.
type valueFormat struct{ prefix, issuer string }

// formats are in order: a longer prefix before one that it begins with.
var formats = []valueFormat{
	{"sk-ant-", "anthropic"},
	{"sk-or-", "openrouter"},
	{"sk-proj-", "openai"},
	{"gsk_", "groq"},
	{"xai-", "xai"},
	{"pplx-", "perplexity"},
	{"AIza", "google"},
	{"ya29.", "google-account"},
	{"1//0", "google-account"},
	{"GOCSPX-", "google-account"},
	{"tvly-", "tavily"},
	{"hf_", "huggingface"},
	{"ghp_", "github"},
	{"gho_", "github"},
	{"ghu_", "github"},
	{"ghs_", "github"},
	{"ghr_", "github"},
	{"github_pat_", "github"},
	{"glpat-", "gitlab"},
	{"npm_", "npm"},
	{"pypi-", "pypi"},
	{"AKIA", "aws"},
	{"ASIA", "aws"},
	{"xox", "slack"},
	{"xapp-", "slack"},
	{"syt_", "matrix"},
	{"dop_v1_", "digitalocean"},
	{"tskey-", "tailscale"},
	{"sk_live_", "stripe"},
	{"rk_live_", "stripe"},
	{"whsec_", "stripe"},
	{"SG.", "sendgrid"},
	{"shpat_", "shopify"},
	{"ops_", "onepassword"},
	{"moltbook_", "moltbook"},
	{"r8_", "replicate"},
	{"lin_api_", "linear"},
	{"ntn_", "notion"},
	{"fc-", "firecrawl"},
	{"BSA", "brave"},
	{"nsec1", "nostr"},
	{"nvapi-", "nvidia"},
	{"hvs.", "vault"},
	{"rubygems_", "rubygems"},
}

// kindOfIssuer is what a key of an issuer is, where only the issuer is known. The rest are model keys.
var kindOfIssuer = map[string]Kind{
	"aws": KindCloud, "azure": KindCloud, "gcp": KindCloud, "cloudflare": KindCloud, "digitalocean": KindCloud, "hetzner": KindCloud, "fly": KindCloud,
	"terraform": KindCloud, "github": KindGit, "gitlab": KindGit, "npm": KindRegistry, "pypi": KindRegistry, "rust": KindRegistry, "rubygems": KindRegistry, "docker": KindRegistry,
	"brave": KindKey, "exa": KindKey, "firecrawl": KindKey, "tavily": KindKey, "parallel": KindKey, "stripe": KindCloud, "sendgrid": KindKey, "twilio": KindKey,
	"shopify": KindKey, "moltbook": KindKey, "linear": KindKey, "notion": KindKey, "tailscale": KindKey, "vault": KindKey, "onepassword": KindPasswords,
	"google-account": KindOAuth, "browserbase": KindKey, "clawhub": KindKey, "elevenlabs": KindKey, "deepgram": KindKey, "speech": KindKey, "pluralkit": KindKey,
}

// findIssuer returns the issuer of a name as config and plugins use it, "" if it is not known.
func findIssuer(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	if _, known := issuers[name]; known {
		return name
	}
	return aliases[name]
}

// variableEndings are taken off a variable's name to get the issuer's.
var variableEndings = strings.Fields("_API_KEY _API_TOKEN _API_SECRET _AUTH_TOKEN _ACCESS_TOKEN _ACCESS_KEY _OAUTH_TOKEN _BOT_TOKEN _APP_TOKEN _TOKEN _SECRET _PASSWORD _KEY")

// ofVariable returns the issuer or the channel that the name of an environment variable begins with.
func ofVariable(name string) string {
	for _, end := range variableEndings {
		base, ok := strings.CutSuffix(strings.ToUpper(name), end)
		if !ok {
			continue
		}
		base = strings.ToLower(strings.ReplaceAll(base, "_", "-"))
		if _, isChannel := channels[base]; isChannel {
			return base
		}
		if id := findIssuer(base); id != "" {
			return id
		}
		for i := strings.LastIndexByte(base, '-'); i > 0; i = strings.LastIndexByte(base[:i], '-') {
			if id := findIssuer(base[:i]); id != "" { // OPENAI_PERSONAL_API_KEY
				return id
			}
		}
	}
	return ""
}

// ofValue tells the issuer or the channel from a value's own form.
func ofValue(value string) string {
	for _, f := range formats {
		if strings.HasPrefix(value, f.prefix) {
			return f.issuer
		}
	}
	if number, rest, ok := strings.Cut(value, ":"); ok && strings.HasPrefix(rest, "AA") && len(rest) >= 30 && strings.Trim(number, "0123456789") == "" {
		return "telegram"
	}
	return ""
}

// A meaning is what a place says about the secret that lies there.
type meaning struct {
	kind     Kind
	issuer   string // of issuers or channels; or a name that neither knows
	owner    string
	group    string // places of one group hold parts of one thing; "" where the value is the thing
	who      string
	how      string
	command  string
	note     string
	provider string // in place of the issuer's name
}

// A placeRule tells from a place what lies there. In a pattern "*" is any one name, "**" any number of them, and
// "{x}" any one that is kept under x: channel, issuer, profile ("issuer:name") or owner.
type placeRule struct {
	file string // of path.Match, below the state directory or ~/; of a table, its name and column
	path string // of names; "" is any
	is   meaning
}

// anyConfig is the place of settings: the config, its includes and their old copies.
const anyConfig = "config"

var placeRules = []placeRule{
	{anyConfig, "gateway.auth.token", meaning{kind: KindGateway, who: WhoTool}},
	{anyConfig, "gateway.auth.password", meaning{kind: KindGateway, who: WhoTool, note: "password mode"}},
	{anyConfig, "gateway.token", meaning{kind: KindGateway, who: WhoTool}},
	{anyConfig, "gateway.remote.**", meaning{kind: KindGateway, owner: "another gateway", how: "give that gateway a new one, then put it here"}},
	{anyConfig, "hooks.token", meaning{kind: KindHooks, who: WhoTool}},
	{anyConfig, "hooks.gmail.**", meaning{kind: KindHooks, issuer: "google-account", how: "make a new push token and subscription with the Gmail setup"}},
	{anyConfig, "hooks.**", meaning{kind: KindHooks, how: "change it here and in whatever calls the hook"}},
	{anyConfig, "channels.discord.accounts.{owner}.pluralkit.**", meaning{kind: KindKey, issuer: "pluralkit"}},
	{anyConfig, "channels.discord.pluralkit.**", meaning{kind: KindKey, issuer: "pluralkit"}},
	{anyConfig, "channels.*.accounts.{owner}.voice.**.providers.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "channels.*.voice.**.providers.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "channels.{channel}.accounts.{owner}.**", meaning{}},
	{anyConfig, "channels.{channel}.**", meaning{}},
	{anyConfig, "telegram.**", meaning{issuer: "telegram"}},
	{anyConfig, "discord.**", meaning{issuer: "discord"}},
	{anyConfig, "slack.**", meaning{issuer: "slack"}},
	{anyConfig, "models.providers.{issuer}.**", meaning{kind: KindModel}},
	{anyConfig, "auth.profiles.{profile}.**", meaning{kind: KindModel}},
	{anyConfig, "mcp.servers.{owner}.**", meaning{kind: KindMCP}},
	{anyConfig, "mcpServers.{owner}.**", meaning{kind: KindMCP}},
	{anyConfig, "plugins.entries.acpx.config.mcpServers.{owner}.**", meaning{kind: KindMCP}},
	{anyConfig, "plugins.entries.*.config.**.providers.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "plugins.entries.*.config.twilio.**", meaning{kind: KindKey, issuer: "twilio"}},
	{anyConfig, "plugins.entries.*.config.discord.**", meaning{issuer: "discord"}},
	{anyConfig, "plugins.entries.*.config.github.**", meaning{kind: KindGit, issuer: "github"}},
	{anyConfig, "plugins.entries.imap.config.accounts.{owner}.**", meaning{kind: KindSession, provider: "mail", how: "change the mailbox's password or app password"}},
	{anyConfig, "plugins.entries.webhooks.**", meaning{kind: KindHooks, how: "change it here and in whatever calls the webhook"}},
	{anyConfig, "plugins.entries.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "skills.entries.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "cron.webhookToken", meaning{kind: KindHooks, how: "change it here and in whatever receives the automations' webhook"}},
	{anyConfig, "tools.web.search.apiKey", meaning{kind: KindKey, issuer: "brave"}},
	{anyConfig, "tools.web.search.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "tools.web.fetch.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "tools.**.providers.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "**.tts.{issuer}.apiKey", meaning{kind: KindKey}},
	{anyConfig, "**.providers.{issuer}.**", meaning{kind: KindKey}},
	{anyConfig, "talk.apiKey", meaning{kind: KindKey, issuer: "elevenlabs"}},

	{"agents/*/agent/auth-profiles.json*", "profiles.{profile}.**", meaning{kind: KindModel}},
	{"agents/*/agent/auth.json*", "{issuer}.**", meaning{kind: KindModel}},
	{"agents/*/agent/models.json*", "providers.{issuer}.**", meaning{kind: KindModel}},
	{"agents/*/agent/codex-home/auth.json", "", meaning{kind: KindOAuth, issuer: "openai", group: "file", how: "log out all devices in ChatGPT's settings, then log in anew"}},
	{"auth_profile_store.store_json", "profiles.{profile}.**", meaning{kind: KindModel}},
	{"auth_profile_stores.store_json", "profiles.{profile}.**", meaning{kind: KindModel}},
	{"config_machine_state.value_json", "profiles.{profile}.**", meaning{kind: KindModel}},
	{"config_machine_state.value_json", "privateKey", localMeaning("web push key")},
	{"web_push_vapid_keys.private_key", "", localMeaning("web push key")},
	{"config_machine_state.value_json[nodeHost.config]", "", nodeMeaning()},
	{"node_host_config.token", "", nodeMeaning()},
	{"credentials/oauth.json*", "{issuer}.**", meaning{kind: KindOAuth}},

	{"devices/paired.json*", "{owner}.**", deviceMeaning()},
	{"devices/*", "**", deviceMeaning()},
	{"nodes/paired.json*", "{owner}.**", deviceMeaning()},
	{"nodes/*", "**", deviceMeaning()},
	{"device_pairing_paired.tokens_json", "", deviceMeaning()},
	{"device_bootstrap_tokens.token", "", deviceMeaning()},
	{"device_pairing_join_codes.shortcode", "", deviceMeaning()},
	{"node_pairing_paired.token", "", deviceMeaning()},
	{"device_auth_tokens.token", "", ownDeviceMeaning()},
	{"gateway_origin_device_tokens.token", "", ownDeviceMeaning()},
	{"identity/device-auth.json*", "", ownDeviceMeaning()},
	{"identity/device.json*", "", deviceKeyMeaning()},
	{"device_identities.private_key_pem", "", deviceKeyMeaning()},
	{"exec-approvals.json*", "", localMeaning("exec approvals socket")},
	{"exec_approvals_config.raw_json", "", localMeaning("exec approvals socket")},
	{"native_hook_relay_bridges.token", "", localMeaning("hook relay")},
	{"credentials/browser-extension-relay.secret", "", localMeaning("browser relay")},
	{"rescue.json", "", localMeaning("rescue")},
	{"apns_registrations.token", "", meaning{kind: KindLocal, provider: "Apple push", how: "remove the registration by pairing the phone anew"}},
	{"credentials/apns/*", "", meaning{kind: KindKey, provider: "Apple push", group: "file", how: "revoke the key at https://developer.apple.com/account/resources/authkeys/list and make a new one"}},
	{"mcp_oauth_stores.store_json", "", meaning{kind: KindMCP, group: "row", how: "revoke the application's access at the service, then log in anew"}},
	{"plugin_state_entries.value_json", "", meaning{kind: KindSession, group: "row"}},
	{"matrix/*", "", meaning{issuer: "matrix", group: "dir"}},
	{"matrix/*/*", "", meaning{issuer: "matrix", group: "dir"}},
	{"matrix/*/*/*", "", meaning{issuer: "matrix", group: "dir"}},
	{"credentials/matrix/*", "", meaning{issuer: "matrix", group: "file"}},
	{"credentials/onepassword/*", "", meaning{kind: KindPasswords, issuer: "onepassword", group: "file"}},
	{"credentials/github/*/*", "", meaning{kind: KindGit, issuer: "github", group: "file"}},
	{"browser", "", meaning{kind: KindBrowser, provider: "the agent's browser", how: "log out everywhere on every site the agent was logged in to, then change those passwords"}},

	{"~/.ssh/*", "", meaning{kind: KindSSH, provider: "SSH", group: "file", how: "make a new key pair, put its public half wherever this one is authorised, and remove the old one there", command: "ssh-keygen -t ed25519"}},
	{"~/.aws/*", "{owner}.**", meaning{kind: KindCloud, issuer: "aws", group: "section", command: "aws iam list-access-keys"}},
	{"~/.aws/*/*", "", meaning{kind: KindCloud, issuer: "aws", group: "file"}},
	{"~/.aws/*/*/*", "", meaning{kind: KindCloud, issuer: "aws", group: "file"}},
	{"~/.config/gcloud/credentials.db", "", meaning{kind: KindCloud, issuer: "gcp", command: "gcloud auth revoke --all"}},
	{"~/.config/gcloud/**", "", meaning{kind: KindCloud, issuer: "gcp", group: "file", command: "gcloud auth revoke --all"}},
	{"~/.azure/**", "", meaning{kind: KindCloud, issuer: "azure", group: "file", command: "az logout"}},
	{"~/.kube/config", "", meaning{kind: KindCloud, provider: "Kubernetes", group: "file", how: "revoke the user's certificate or token in each cluster of the file"}},
	{"~/.docker/config.json", "auths.{owner}.**", meaning{kind: KindRegistry, issuer: "docker", group: "section", command: "docker logout"}},
	{"~/.config/gh/hosts.yml", "", meaning{kind: KindGit, issuer: "github", command: "gh auth logout"}},
	{"~/.config/glab-cli/config.yml", "", meaning{kind: KindGit, issuer: "gitlab"}},
	{"~/.config/doctl/config.yaml", "", meaning{kind: KindCloud, issuer: "digitalocean"}},
	{"~/.fly/config.yml", "", meaning{kind: KindCloud, issuer: "fly"}},
	{"~/.config/hcloud/cli.toml", "", meaning{kind: KindCloud, issuer: "hetzner"}},
	{"~/.config/.wrangler/**", "", meaning{kind: KindCloud, issuer: "cloudflare", group: "file", command: "wrangler logout"}},
	{"~/.wrangler/**", "", meaning{kind: KindCloud, issuer: "cloudflare", group: "file", command: "wrangler logout"}},
	{"~/.terraform.d/*", "", meaning{kind: KindCloud, issuer: "terraform"}},
	{"~/.config/rclone/rclone.conf", "{owner}.**", meaning{kind: KindCloud, provider: "rclone remote", group: "section", how: howUser}},
	{"~/.netrc", "{owner}.**", meaning{how: howUser}},
	{"~/.git-credentials", "{owner}.**", meaning{kind: KindGit, how: "revoke the token at the host named"}},
	{"~/.config/git/credentials", "{owner}.**", meaning{kind: KindGit, how: "revoke the token at the host named"}},
	{"~/.npmrc", "", meaning{kind: KindRegistry, issuer: "npm", command: "npm token list"}},
	{"~/.yarnrc.yml", "", meaning{kind: KindRegistry, issuer: "npm"}},
	{"~/.pypirc", "{owner}.**", meaning{kind: KindRegistry, issuer: "pypi"}},
	{"~/.cargo/*", "", meaning{kind: KindRegistry, issuer: "rust"}},
	{"~/.gem/credentials", "", meaning{kind: KindRegistry, issuer: "rubygems"}},
	{"~/.pgpass", "{owner}.**", meaning{kind: KindOther, provider: "PostgreSQL", how: "change the database user's password"}},
	{"~/.my.cnf", "", meaning{kind: KindOther, provider: "MySQL", how: "change the database user's password"}},
	{"~/.vault-token", "", meaning{kind: KindKey, issuer: "vault", command: "vault token revoke -self"}},
	{"~/.cache/huggingface/token", "", meaning{kind: KindModel, issuer: "huggingface"}},
	{"~/.claude.json", "mcpServers.{owner}.**", meaning{kind: KindMCP}},
	{"~/.claude/.credentials.json", "", meaning{kind: KindOAuth, issuer: "anthropic", group: "file", how: "log out all sessions at https://claude.ai/settings/account, then log in anew", command: "claude /logout"}},
	{"~/.codex/auth.json", "", meaning{kind: KindOAuth, issuer: "openai", group: "file", how: "log out all devices in ChatGPT's settings, then log in anew", command: "codex logout"}},
	{"~/.gemini/*", "", meaning{kind: KindOAuth, issuer: "google-account", group: "file"}},
	{"~/.qwen/*", "", meaning{kind: KindOAuth, issuer: "qwen", group: "file"}},
	{"~/.config/github-copilot/*", "", meaning{kind: KindOAuth, issuer: "github-copilot", group: "file"}},
	{"~/.local/share/opencode/auth.json", "{issuer}.**", meaning{kind: KindModel}},
	{"~/.mcporter/*", "", meaning{kind: KindMCP}},
	{"~/.config/moltbook/*", "", meaning{kind: KindKey, issuer: "moltbook"}},
	{"~/.config/clawhub/*", "", meaning{kind: KindKey, issuer: "clawhub"}},
	{"~/.gnupg/private-keys-v1.d", "", meaning{kind: KindPasswords, provider: "GnuPG", how: "revoke the keys and publish the revocation, if the agent could use them", command: "gpg --list-secret-keys"}},
	{"~/.password-store", "", meaning{kind: KindPasswords, provider: "pass", how: "replace every password in it, if the agent could decrypt it"}},
	{"~/.local/share/keyrings", "", meaning{kind: KindPasswords, provider: "the desktop's keyring", how: "replace what it holds, if it was unlocked"}},
	{"~/Library/Keychains", "", meaning{kind: KindPasswords, provider: "the macOS keychain", how: "replace what it holds, if it was unlocked"}},
	{"~/.config/op", "", meaning{kind: KindPasswords, issuer: "onepassword", how: "sign out the device at https://my.1password.com/profile; replace what it could read"}},
	{"~/.config/Bitwarden CLI", "", meaning{kind: KindPasswords, provider: "Bitwarden", how: "deauthorise sessions at https://vault.bitwarden.com/#/settings/account; replace what it could read"}},
	{"~/.config/gogcli", "", meaning{kind: KindOAuth, issuer: "google-account"}},
	{"~/.local/share/signal-cli/data", "", meaning{issuer: "signal"}},
	{"~/.mozilla/firefox", "", browserMeaning("Firefox")},
	{"~/.config/google-chrome", "", browserMeaning("Chrome")},
	{"~/.config/chromium", "", browserMeaning("Chromium")},
	{"~/.config/BraveSoftware", "", browserMeaning("Brave")},
}

func deviceMeaning() meaning {
	return meaning{kind: KindDevice, who: WhoTool, how: "removed from the store with all pairings; pair the devices you know anew"}
}

// ownDeviceMeaning is of a token that this host holds as a device. Where the gateway is this one, its store holds the same.
func ownDeviceMeaning() meaning {
	return meaning{kind: KindDevice, provider: "OpenClaw", how: "remove this host's device at the gateway that it is paired with"}
}

func deviceKeyMeaning() meaning {
	return meaning{
		kind: KindDeviceKey, provider: "OpenClaw", group: "file",
		how: "remove this host's device at the gateways it was paired with; delete the identity once this host is clean, and a new one is made",
	}
}

func nodeMeaning() meaning {
	return meaning{kind: KindGateway, owner: "another gateway", how: "remove this node at the gateway it connects to, then pair it anew"}
}

func localMeaning(what string) meaning {
	return meaning{kind: KindLocal, provider: what, how: "of use on this host only: delete it once the host is clean, and a new one is made at the next start"}
}

func browserMeaning(name string) meaning {
	return meaning{kind: KindBrowser, provider: name, how: "if the agent drove this browser: log out everywhere on the sites it was logged in to, then change those passwords"}
}

// matchFile reports whether a file's place is one that a rule names. "**" at the end stands for anything below.
func matchFile(pattern, place string) bool {
	if pattern == place {
		return true
	}
	if dir, ok := strings.CutSuffix(pattern, "/**"); ok {
		return strings.HasPrefix(place, dir+"/")
	}
	ok, _ := path.Match(pattern, place)
	return ok
}

// maxNames bounds how deep a place is looked into: matching "**" takes the square of it.
const maxNames = 24

// matchNames matches the names that lead to a value with a rule's path, and returns what "{x}" stood for.
func matchNames(pattern string, names []string) (map[string]string, bool) {
	kept := map[string]string{}
	if pattern == "" {
		return kept, true
	}
	names = names[:min(len(names), maxNames)]
	return kept, matchAll(strings.Split(pattern, "."), names, kept)
}

func matchAll(pattern, names []string, kept map[string]string) bool {
	if len(pattern) == 0 {
		return len(names) == 0
	}
	if pattern[0] == "**" {
		for n := range len(names) + 1 {
			if matchAll(pattern[1:], names[n:], kept) {
				return true
			}
		}
		return false
	}
	if len(names) == 0 {
		return false
	}
	key, isKept := strings.CutPrefix(pattern[0], "{")
	if !isKept && pattern[0] != "*" && pattern[0] != names[0] {
		return false
	}
	if !matchAll(pattern[1:], names[1:], kept) {
		return false
	}
	if isKept {
		kept[strings.TrimSuffix(key, "}")] = names[0]
	}
	return true
}

// oauthNames are the members of a login that is renewed as a whole.
var oauthNames = strings.Fields("access refresh id idToken accessToken refreshToken access_token refresh_token id_token")

func isOAuthName(name string) bool { return slices.Contains(oauthNames, name) }
