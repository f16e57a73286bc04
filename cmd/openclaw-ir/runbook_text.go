package main

// runbookStages are the steps of the runbook as they are told, in their order. contain seals what stopping loses, and rotate
// refuses until a bundle holds what it changes: so collect comes before rotate.
func runbookStages() []*stage {
	return []*stage{
		{
			Name:    "contain",
			Title:   "stop the assistant",
			Next:    `The assistant is frozen at once. Then you see a plan and are asked: "y" stops it for good, "n" lets it go on as if nothing had been.`,
			Why:     "While it runs it may go on doing what an intruder told it, and what it has in memory may show what that was.",
			Changes: "It stops the gateway and whatever starts it again, and closes the firewall except for your own way in. All of it can be taken back.",
			Takes:   "Half a minute.",
			Tell:    `"I have stopped our assistant while I look into a problem. Please do not start it, and do not answer messages from it until I say so."`,
			asks:    true,
		},
		{
			Name:    "collect",
			Title:   "seal the evidence",
			Next:    "Logs, conversations, settings and the state of this machine go into one encrypted file.",
			Why:     "Logs are deleted after a day, and the next step changes settings. What is sealed now cannot get lost.",
			Changes: "Nothing that is there. It writes one file, and its seal, into the case.",
			Takes:   "A minute or two; longer if there is much. A bar shows how far it has come.",
			Tell:    `"Please do not delete or tidy up anything for now: no messages, no files, no devices. It may show what happened."`,
		},
		{
			Name:    "rotate",
			Title:   "replace the keys",
			Next:    "The gateway gets a new token, and all paired devices are removed. Then you get a list of the keys that only you can replace, the most urgent first.",
			Why:     "Whoever was in may have copied every key that the assistant held, and a copied key works until it is replaced.",
			Changes: "The files in the plan below. The sealed bundle holds them as they were.",
			Takes:   "A minute. Working through the list takes as long as it takes; it is kept.",
			Tell:    `"Your phone and computer will have to be paired with the assistant again, later. Tell me of any message, login or bill that you do not recognise."`,
		},
		{
			Name:    "analyze",
			Title:   "see what happened",
			Next:    "The record is searched for what the assistant did that it should not have done, who asked for it, and what led to it.",
			Why:     "You need to know what was read, run, changed and sent, and since when.",
			Changes: "Nothing.",
			Takes:   "Seconds to minutes. A bar shows how far it has come.",
			Tell:    `"I am finding out what happened. I will tell each of you what concerns you as soon as I know."`,
		},
		{
			Name:    "report",
			Title:   "write it down for those who help",
			Next:    "A letter to support, and a page for you to look at, are written into the case. Your keys are in neither. Nothing is sent.",
			Why:     "With the facts in order, others can help at once.",
			Changes: "Nothing that is there. It writes files into the case.",
			Takes:   "Seconds to minutes.",
			Tell:    `"I am asking OpenClaw's support for help. Please do not write about it in chats that the assistant can read."`,
		},
	}
}
