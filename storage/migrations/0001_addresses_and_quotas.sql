CREATE TABLE `addresses` (
	`address` text PRIMARY KEY NOT NULL,
	`domain` text NOT NULL,
	`account_id` integer NOT NULL,
	`kind` text NOT NULL,
	`enabled` integer NOT NULL,
	`note` text NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `addresses_account` ON `addresses` (`account_id`,`address`);--> statement-breakpoint
CREATE INDEX `addresses_domain` ON `addresses` (`domain`,`address`);--> statement-breakpoint
CREATE TABLE `group_members` (
	`group_address` text NOT NULL,
	`member` text NOT NULL,
	PRIMARY KEY(`group_address`, `member`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `groups` (
	`address` text PRIMARY KEY NOT NULL,
	`domain` text NOT NULL,
	`display_name` text NOT NULL,
	`posting` text NOT NULL,
	`owners` text NOT NULL,
	`members` integer NOT NULL,
	`created_at` integer NOT NULL
) STRICT;
--> statement-breakpoint
CREATE INDEX `groups_domain` ON `groups` (`domain`,`address`);--> statement-breakpoint
CREATE TABLE `secrets` (
	`name` text NOT NULL,
	`created_at` integer NOT NULL,
	`value` text NOT NULL,
	PRIMARY KEY(`name`, `created_at`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `accounts` ADD `quota_octets` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `quota_messages` integer;--> statement-breakpoint
ALTER TABLE `accounts` ADD `subaddress_folder` text;--> statement-breakpoint
ALTER TABLE `accounts` ADD `used_octets` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `used_messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `accounts` ADD `quota_noticed` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `alias_of` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `subaddress_folder` text DEFAULT 'inbox' NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `quota_octets` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `quota_messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `account_quota_octets` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `account_quota_messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `quota_soft_percent` integer DEFAULT 90 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `over_quota` text DEFAULT 'defer' NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `used_octets` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `domains` ADD `used_messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE `accounts` SET `used_octets` = coalesce((SELECT sum(`size_octets`) FROM `mailboxes` WHERE `account_id` = `accounts`.`id`), 0), `used_messages` = coalesce((SELECT sum(`messages`) FROM `mailboxes` WHERE `account_id` = `accounts`.`id`), 0);--> statement-breakpoint
UPDATE `domains` SET `used_octets` = coalesce((SELECT sum(`used_octets`) FROM `accounts` WHERE `domain` = `domains`.`name`), 0), `used_messages` = coalesce((SELECT sum(`used_messages`) FROM `accounts` WHERE `domain` = `domains`.`name`), 0);
