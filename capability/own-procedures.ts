// What the CLI must know of captured tables, on which it has no right at all: a server shows a table's triggers only to those
// who may make them, and its counter only to those who may use it. Each procedure looks as an account that nobody can
// log in with, and tells.

/** The account that the procedures and the fence's triggers run as. Always of the same host, so that its name is known. */
export const fenceAccount = "'banyan_fence'@'localhost'";

const procedure = (name: string, select: string) => [
  `DROP PROCEDURE IF EXISTS banyan.${name}`,
  `CREATE DEFINER=${fenceAccount} PROCEDURE banyan.${name}(IN of_schema VARCHAR(64) CHARACTER SET utf8mb4)
  READS SQL DATA SQL SECURITY DEFINER
  ${select}`,
];

export const triggersProcedure = 'banyan_triggers';
export const countersProcedure = 'banyan_counters';

export const ownProcedures: readonly string[] = [triggersProcedure, countersProcedure];

export const ownProceduresSql: readonly string[] = [
  ...procedure(
    triggersProcedure,
    `SELECT EVENT_OBJECT_TABLE AS on_table, ACTION_TIMING AS timing, EVENT_MANIPULATION AS event, ACTION_ORDER AS place, TRIGGER_NAME AS name,
    DEFINER AS definer, ACTION_STATEMENT AS body
  FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = of_schema`,
  ),
  ...procedure(
    countersProcedure,
    `SELECT t.TABLE_NAME AS of_table, c.COLUMN_NAME AS name, c.COLUMN_TYPE AS type, CAST(t.AUTO_INCREMENT AS CHAR) AS next
  FROM information_schema.TABLES t JOIN information_schema.COLUMNS c
    ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
  WHERE t.TABLE_SCHEMA = of_schema AND c.EXTRA LIKE '%auto_increment%'`,
  ),
];
