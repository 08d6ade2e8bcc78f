"""The files of recordings: ROS 1 bags, and rosbag2 in MCAP and sqlite3."""
