CREATE TABLE `imported_items` (
	`account_id` integer NOT NULL,
	`source` text NOT NULL,
	`item` text NOT NULL,
	PRIMARY KEY(`account_id`, `source`, `item`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `kept_uidls` (
	`mailbox_id` integer NOT NULL,
	`uid` integer NOT NULL,
	`uidl` text NOT NULL,
	PRIMARY KEY(`mailbox_id`, `uid`)
) STRICT, WITHOUT ROWID;
