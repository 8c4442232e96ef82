CREATE TABLE `unfinished_copies` (
	`key` text NOT NULL,
	`mailbox_id` integer NOT NULL,
	`from_uid` integer NOT NULL,
	`to_uid` integer NOT NULL,
	PRIMARY KEY(`key`, `from_uid`)
) STRICT, WITHOUT ROWID;
