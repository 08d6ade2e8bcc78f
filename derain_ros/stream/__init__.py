"""Camera streams: newest image first, deadline, pass-through. No ROS here."""
